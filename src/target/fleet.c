/* Many links, one loop: steps that return when every server is done. */
#include "target/fleet.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "target/internal.h"

enum { CONNECT_MAX = 32, GOODBYE_MS = 2000 };

struct server {
	struct link *link;
	bool connecting; /* counts towards connect_max */
	bool started;	 /* link_connect was called */
	bool chosen;	 /* in the step under way */
	bool failed;
	struct err failure;
};

struct fleet {
	struct loop *loop;
	struct loop_signals *signals;
	struct fleet_options options;
	struct place_address *addresses;
	struct server *servers;
	bool *push_agent; /* one a server, when it is opened for the first time; NULL: none */
	size_t count;
	struct arena arena;
	int interrupts;		/* asked for, all in all */
	int interrupts_taken;	/* that a step has returned for */
	struct offers **offers; /* by release */
	struct digest *offered;
	size_t offers_count;
	/* Lines that were opened again: what they said may still be looked at. */
	struct link **retired;
	size_t retired_count;
	void (*meanwhile)(void *context); /* NULL: nothing */
	void *meanwhile_context;
};

/* --- interrupts ----------------------------------------------------------------- */

void fleet_interrupt(struct fleet *fleet)
{
	fleet->interrupts++;
}

bool fleet_interrupted(const struct fleet *fleet)
{
	return fleet->interrupts > 0;
}

static bool interrupt_waits(const struct fleet *fleet)
{
	return fleet->interrupts >= 2 || fleet->interrupts > fleet->interrupts_taken;
}

static int interrupted(struct fleet *fleet, struct err *err)
{
	fleet->interrupts_taken = fleet->interrupts;
	return err_set(err, ERR_INTERRUPTED, "interrupted");
}

static void signalled(void *context, int signal_number)
{
	(void)signal_number;
	fleet_interrupt(context);
}

/* --- streams ----------------------------------------------------------------------- */

static void more_offered(void *context)
{
	struct fleet *fleet = context;
	for (size_t i = 0; i < fleet->count; i++)
		if (fleet->servers[i].link && fleet->servers[i].link->status == LINK_BUSY)
			link_pump(fleet->servers[i].link);
}

static void offers_forget(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->offers_count; i++)
		offers_close(&fleet->offers[i]);
	fleet->offers_count = 0;
}

static struct offers *offers_for(struct fleet *fleet, struct store *store, const struct digest *release,
				 struct err *err)
{
	for (size_t i = 0; i < fleet->offers_count; i++)
		if (digest_equal(&fleet->offered[i], release))
			return fleet->offers[i];
	struct offers_spec spec = {.store = store,
				   .release = *release,
				   .temp_dir = fleet->options.temp_dir,
				   .more = more_offered,
				   .context = fleet};
	struct offers *offers = NULL;
	if (offers_open(fleet->loop, &spec, &offers, err) < 0)
		return NULL;
	size_t count = fleet->offers_count++;
	fleet->offers = mem_grow(fleet->offers, count + 1, sizeof(struct offers *));
	fleet->offered = mem_grow(fleet->offered, count + 1, sizeof(struct digest));
	fleet->offers[count] = offers;
	fleet->offered[count] = *release;
	return offers;
}

void fleet_forecast(struct fleet *fleet, struct store *store, const struct digest *release,
		    const struct digest *base)
{
	struct err err = ERR_INIT;
	if (!store_has_manifest(store, release) || (base && !store_has_manifest(store, base)))
		return;
	struct offers *offers = offers_for(fleet, store, release, &err);
	if (!offers || !offers_first(offers, base, base ? 1 : 0, base, OFFER_FORECAST, &err))
		log_info("no forecast: %s", err.text);
}

/* --- steps --------------------------------------------------------------------------- */

static const char *server_name(const struct fleet *fleet, size_t server)
{
	const char *text = fleet->addresses[server].text;
	return text && *text ? text : fleet->addresses[server].host ? fleet->addresses[server].host : "local";
}

/* One failure is told whole; of several each gets its first line. */
static int failures_tell(const struct fleet *fleet, const char *step, struct err *err)
{
	AUTO(buf_free) struct buf list = BUF_INIT(ERR_TEXT_MAX);
	size_t failed = 0, chosen = 0, first = 0;
	for (size_t i = 0; i < fleet->count; i++) {
		const struct server *server = &fleet->servers[i];
		chosen += server->chosen;
		if (!server->chosen || !server->failed)
			continue;
		if (failed++ == 0)
			first = i;
		struct slice rest = slice_of(server->failure.text);
		struct slice line = slice_cut(&rest, '\n');
		buf_printf(&list, "\n  %s: %.*s", server_name(fleet, i), SLICE_ARG(line));
	}
	if (failed == 0)
		return 0;
	*err = fleet->servers[first].failure;
	if (failed == 1)
		return err_wrap(err, "%s (%s)", server_name(fleet, first), step);
	struct err several = ERR_INIT;
	err_set(&several, err->code, "%zu of %zu servers failed (%s):%s", failed, chosen, step,
		buf_str(&list));
	if (err->hint[0])
		err_hint(&several, "%s", err->hint);
	*err = several;
	return -1;
}

static void outcome_take(struct server *server)
{
	const struct err *failure = link_failure(server->link);
	server->failed = failure != NULL;
	if (failure)
		server->failure = *failure;
}

static bool is_under_way(const struct server *server)
{
	enum link_status status = link_status(server->link);
	return status == LINK_BUSY || status == LINK_CONNECTING;
}

static void connect_more(struct fleet *fleet)
{
	int most = fleet->options.connect_max ? fleet->options.connect_max : CONNECT_MAX;
	int under_way = 0;
	for (size_t i = 0; i < fleet->count; i++) {
		struct server *server = &fleet->servers[i];
		if (server->connecting && link_status(server->link) != LINK_CONNECTING)
			server->connecting = false;
		under_way += server->connecting;
	}
	for (size_t i = 0; i < fleet->count && under_way < most; i++) {
		struct server *server = &fleet->servers[i];
		if (server->started || !server->link)
			continue;
		server->started = server->connecting = true;
		under_way++;
		link_connect(server->link);
	}
}

/* What an interrupt need not wait for is given up. */
static void drop_droppable(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->count; i++)
		if (fleet->servers[i].chosen && link_is_droppable(fleet->servers[i].link))
			link_drop(fleet->servers[i].link, ERR_INTERRUPTED, "interrupted");
}

static bool any_under_way(const struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->count; i++)
		if (fleet->servers[i].chosen && is_under_way(&fleet->servers[i]))
			return true;
	return false;
}

void fleet_meanwhile(struct fleet *fleet, void (*work)(void *context), void *context)
{
	fleet->meanwhile = work;
	fleet->meanwhile_context = context;
}

static bool any_sending(const struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->count; i++) {
		const struct link *link = fleet->servers[i].link;
		if (link && (link->reader.offer || link_queued(link) || link_status(link) == LINK_CONNECTING))
			return true;
	}
	return false;
}

/* True when there was something: the loop has waited for it, not for the servers. */
static bool did_meanwhile(struct fleet *fleet)
{
	void (*work)(void *context) = fleet->meanwhile;

	if (!work || any_sending(fleet))
		return false;
	fleet->meanwhile = NULL;
	work(fleet->meanwhile_context);
	return true;
}

/* Turns the loop until every chosen server is done. */
static int step_turn(struct fleet *fleet, struct err *err)
{
	bool given_up = false;
	connect_more(fleet);
	while (any_under_way(fleet)) {
		if (interrupt_waits(fleet) && !given_up) {
			given_up = true;
			drop_droppable(fleet);
			continue;
		}
		if (fleet->interrupts >= 2)
			break;
		loop_turn(fleet->loop, !did_meanwhile(fleet));
		connect_more(fleet);
	}
	for (size_t i = 0; i < fleet->count; i++)
		if (fleet->servers[i].chosen)
			outcome_take(&fleet->servers[i]);
	return interrupt_waits(fleet) ? interrupted(fleet, err) : 0;
}

static int step_wait(struct fleet *fleet, const char *step, struct err *err)
{
	return step_turn(fleet, err) ? -1 : failures_tell(fleet, step, err);
}

/* Chooses the servers of a step. A lost line fails the step for its server. */
static int step_begin(struct fleet *fleet, const bool *which, struct err *err)
{
	if (interrupt_waits(fleet))
		return interrupted(fleet, err);
	for (size_t i = 0; i < fleet->count; i++) {
		struct server *server = &fleet->servers[i];
		server->chosen = !which || which[i];
		if (server->chosen)
			server->failed = false;
	}
	return 0;
}

/* As is_asked, where what is asked may go behind the scan that travelled with the start. */
static bool is_asked_early(struct fleet *fleet, size_t i)
{
	return fleet->servers[i].chosen && link_takes_lease(fleet->servers[i].link);
}

static bool is_asked(struct fleet *fleet, size_t i)
{
	struct server *server = &fleet->servers[i];
	if (!server->chosen)
		return false;
	if (link_status(server->link) == LINK_IDLE)
		return true;
	ASSERT(link_status(server->link) != LINK_BUSY);
	return false;
}

/* Begins `call` on every chosen server (whose index is `i`) and waits. */
#define STEP(name, call)                                                                                     \
	do {                                                                                                 \
		if (step_begin(fleet, which, err) < 0)                                                       \
			return -1;                                                                           \
		for (size_t i = 0; i < fleet->count; i++) {                                                  \
			struct link *link = fleet->servers[i].link;                                          \
			if (is_asked(fleet, i))                                                              \
				call;                                                                        \
		}                                                                                            \
		return step_wait(fleet, name, err);                                                          \
	} while (0)

int fleet_lease(struct fleet *fleet, const bool *which, const struct lease_request *request, struct err *err)
{
	STEP("lease", link_lease(link, request));
}

/* With a lease, both go out together. */
static int prepare_all(struct fleet *fleet, const bool *which, const struct lease_request *lease,
		       struct store *store, const struct prepare_request *each,
		       const struct carry_request *carry, struct err *err)
{
	if (step_begin(fleet, which, err) < 0)
		return -1;
	for (size_t i = 0; i < fleet->count; i++) {
		struct err failure = ERR_INIT;
		struct link *link = fleet->servers[i].link;
		if (lease ? !is_asked_early(fleet, i) : !is_asked(fleet, i))
			continue;
		/* To restore, the server alone may do; what the store has may help. */
		bool known = store && (!each[i].from || store_has_manifest(store, &each[i].release));
		struct offers *offers = known ? offers_for(fleet, store, &each[i].release, &failure) : NULL;
		if (!offers && !each[i].from)
			link_refuse_idle(link, "prepare", &failure);
		else if (lease)
			link_lease_prepare(link, lease, &each[i], carry ? &carry[i] : NULL, offers);
		else
			link_prepare(link, &each[i], offers);
	}
	if (step_turn(fleet, err))
		return -1;
	bool leased = true, prepared = true;
	for (size_t i = 0; i < fleet->count; i++) {
		leased = leased && link_leased(fleet->servers[i].link);
		prepared = prepared && link_results(fleet->servers[i].link)->prepare.name;
	}
	return failures_tell(fleet, lease && !leased ? "lease" : carry && prepared ? "activate" : "prepare", err);
}

static int prepare_and_forget(struct fleet *fleet, const bool *which, const struct lease_request *lease,
			      struct store *store, const struct prepare_request *each,
			      const struct carry_request *carry, struct err *err)
{
	int result = prepare_all(fleet, which, lease, store, each, carry, err);
	for (size_t i = 0; i < fleet->count; i++)
		if (link_status(fleet->servers[i].link) == LINK_BUSY)
			return result; /* left at once: streams are still being read */
	offers_forget(fleet);
	return result;
}

int fleet_prepare(struct fleet *fleet, const bool *which, struct store *store,
		  const struct prepare_request *each, struct err *err)
{
	return prepare_and_forget(fleet, which, NULL, store, each, NULL, err);
}

int fleet_lease_prepare(struct fleet *fleet, const bool *which, const struct lease_request *lease,
			struct store *store, const struct prepare_request *each,
			const struct carry_request *carry, struct err *err)
{
	return prepare_and_forget(fleet, which, lease, store, each, carry, err);
}

/* A step for one server alone. */
static bool *only(struct fleet *fleet, size_t server)
{
	bool *which = ARENA_NEW_ARRAY(&fleet->arena, fleet->count, bool);
	which[server] = true;
	return which;
}

int fleet_decide(struct fleet *fleet, size_t server, const struct decide_request *request, struct err *err)
{
	const bool *which = only(fleet, server);
	STEP("decide", link_decide(link, request));
}

int fleet_activate(struct fleet *fleet, const bool *which, const struct activate_request *each,
		   struct err *err)
{
	STEP("activate", link_activate(link, &each[i]));
}

int fleet_activate_record(struct fleet *fleet, const bool *which, const struct activate_request *each,
			  const struct record_request *records, bool leave, struct err *err)
{
	STEP("activate", link_activate_record(link, &each[i], &records[i], leave));
}

int fleet_revert(struct fleet *fleet, const bool *which, const char *deployment, struct err *err)
{
	STEP("revert", link_revert(link, deployment));
}

int fleet_reload(struct fleet *fleet, const bool *which, const struct reload_request *each, struct err *err)
{
	STEP("reload", link_reload(link, &each[i]));
}

int fleet_run(struct fleet *fleet, const bool *which, const struct run_request *request, struct err *err)
{
	STEP("run", link_run(link, request));
}

int fleet_check_http(struct fleet *fleet, const bool *which, const struct http_request *request,
		     struct err *err)
{
	STEP("verify", link_check_http(link, request));
}

int fleet_record(struct fleet *fleet, const bool *which, const struct record_request *each, struct err *err)
{
	STEP("record", link_record(link, &each[i]));
}

int fleet_abandon(struct fleet *fleet, const bool *which, const char *deployment, struct err *err)
{
	STEP("abandon", link_abandon(link, deployment));
}

int fleet_prune(struct fleet *fleet, const bool *which, uint64_t keep, struct err *err)
{
	STEP("prune", link_prune(link, keep));
}

int fleet_scan(struct fleet *fleet, const bool *which, bool deep, struct err *err)
{
	STEP("scan", link_scan(link, deep));
}

int fleet_journal(struct fleet *fleet, const bool *which, uint64_t last, struct err *err)
{
	STEP("journal", link_journal(link, last));
}

int fleet_check(struct fleet *fleet, const bool *which, const struct check_request *each, struct err *err)
{
	STEP("check", link_check(link, &each[i]));
}

int fleet_uses(struct fleet *fleet, const bool *which, struct err *err)
{
	STEP("uses", link_uses(link));
}

int fleet_probe(struct fleet *fleet, const bool *which, const struct probe_order *each, struct err *err)
{
	STEP("probe", link_probe(link, &each[i], fleet->options.temp_dir));
}

int fleet_fetch_release(struct fleet *fleet, size_t server, const struct digest *release, struct store *store,
			struct err *err)
{
	const bool *which = only(fleet, server);
	STEP("fetch", link_fetch_release(link, release, store));
}

static void time_over(void *context)
{
	*(bool *)context = true;
}

int fleet_wait(struct fleet *fleet, int64_t duration_ms, struct err *err)
{
	bool over = false;
	struct loop_timer *timer = loop_timer_start(fleet->loop, duration_ms, 0, time_over, &over);
	while (!over && !interrupt_waits(fleet))
		loop_turn(fleet->loop, true);
	loop_timer_stop(&timer);
	return interrupt_waits(fleet) ? interrupted(fleet, err) : 0;
}

/* --- the whole ----------------------------------------------------------------------------- */

static void server_open(struct fleet *fleet, size_t i)
{
	struct link_options options = {
		.address = fleet->addresses[i],
		.index = i,
		.observe = fleet->options.observe,
		.scan_at_once = fleet->options.scan_at_once,
		.push_agent = fleet->push_agent && fleet->push_agent[i],
		.silence_ms = fleet->options.silence_ms,
		.ssh = fleet->options.ssh,
		.events = fleet->options.events,
		.images = fleet->options.images,
		.image_count = fleet->options.image_count,
	};
	fleet->servers[i] = (struct server){.link = link_make(fleet->loop, &options)};
}

int fleet_begin(const struct place_address *addresses, size_t count, const struct fleet_options *options,
		struct fleet **fleet_out, struct err *err)
{
	*fleet_out = NULL;
	struct fleet *fleet = mem_alloc(sizeof(*fleet));
	if (loop_open(&fleet->loop, err) < 0) {
		mem_free_ptr(&fleet);
		return -1;
	}
	fleet->options = *options;
	fleet->options.ssh = arena_strdup(&fleet->arena, options->ssh);
	fleet->options.temp_dir = arena_strdup(&fleet->arena, options->temp_dir);
	fleet->count = count;
	fleet->servers = mem_array(count + 1, sizeof(*fleet->servers));
	if (options->push_agent)
		fleet->push_agent = memcpy(ARENA_NEW_ARRAY(&fleet->arena, count + 1, bool), options->push_agent,
					   count * sizeof(bool));
	fleet->addresses = ARENA_NEW_ARRAY(&fleet->arena, count + 1, struct place_address);
	if (options->handle_signals)
		fleet->signals = loop_signals_start(fleet->loop, signalled, fleet);
	for (size_t i = 0; i < count; i++) {
		struct place_address *address = &fleet->addresses[i];
		*address = addresses[i];
		address->user = arena_strdup(&fleet->arena, address->user);
		address->host = arena_strdup(&fleet->arena, address->host);
		address->path = arena_strdup(&fleet->arena, address->path);
		address->text = arena_strdup(&fleet->arena, address->text);
		server_open(fleet, i);
		fleet->servers[i].chosen = true;
	}
	*fleet_out = fleet;
	connect_more(fleet);
	if (options->forecast_store)
		fleet_forecast(fleet, options->forecast_store, options->forecast_release,
			       options->forecast_base);
	return 0;
}

int fleet_connected(struct fleet *fleet, struct err *err)
{
	return step_wait(fleet, "connect", err);
}

static bool any_greeting(const struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->count; i++)
		if (is_under_way(&fleet->servers[i]) && !link_takes_lease(fleet->servers[i].link))
			return true;
	return false;
}

bool fleet_greeted(struct fleet *fleet)
{
	bool all = true;

	while (any_greeting(fleet) && !interrupt_waits(fleet)) {
		loop_turn(fleet->loop, true);
		connect_more(fleet);
	}
	for (size_t i = 0; i < fleet->count; i++)
		all = all && link_takes_lease(fleet->servers[i].link);
	return all && !interrupt_waits(fleet);
}

int fleet_open(const struct place_address *addresses, size_t count, const struct fleet_options *options,
	       struct fleet **fleet_out, struct err *err)
{
	return fleet_begin(addresses, count, options, fleet_out, err) < 0 ? -1
									  : fleet_connected(*fleet_out, err);
}

int fleet_reopen(struct fleet *fleet, const bool *which, struct err *err)
{
	if (step_begin(fleet, which, err) < 0)
		return -1;
	for (size_t i = 0; i < fleet->count; i++) {
		struct server *server = &fleet->servers[i];
		enum link_status status = link_status(server->link);
		if (!server->chosen || (status != LINK_LOST && status != LINK_CLOSED))
			continue;
		fleet->retired = mem_grow(fleet->retired, fleet->retired_count + 1, sizeof(struct link *));
		fleet->retired[fleet->retired_count++] = server->link;
		if (fleet->push_agent)
			fleet->push_agent[i] = false;
		server_open(fleet, i);
		server->chosen = true;
	}
	return step_wait(fleet, "connect", err);
}

static void goodbye_over(void *context)
{
	*(bool *)context = true;
}

void fleet_leave(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->count; i++)
		link_leave(fleet->servers[i].link);
}

/* Whether its end is waited for: a lease is given back when the agent has heard us, and on
 * this machine it costs nothing. One that only looked, far away, ends by itself. */
static bool line_end(struct link **link)
{
	bool waits = *link && ((*link)->talk.leased || (*link)->options.address.kind == PLACE_LOCAL);

	link_close(link);
	return waits;
}

void fleet_close(struct fleet **fleet)
{
	struct fleet *old = *fleet;
	if (!old)
		return;
	*fleet = NULL;
	bool waits = false;
	for (size_t i = 0; i < old->count; i++)
		waits |= line_end(&old->servers[i].link);
	for (size_t i = 0; i < old->retired_count; i++)
		waits |= line_end(&old->retired[i]);
	offers_forget(old);
	/* A line that hangs is left, too. */
	bool over = !waits || old->interrupts >= 2;
	struct loop_timer *timer = loop_timer_start(old->loop, GOODBYE_MS, 0, goodbye_over, &over);
	while (!over && loop_processes_leaving(old->loop))
		loop_turn(old->loop, true);
	loop_timer_stop(&timer);
	loop_signals_stop(&old->signals);
	loop_close(&old->loop);
	mem_free_ptr(&old->servers);
	mem_free_ptr(&old->offers);
	mem_free_ptr(&old->offered);
	mem_free_ptr(&old->retired);
	arena_free(&old->arena);
	mem_free_ptr(&old);
}

size_t fleet_count(const struct fleet *fleet)
{
	return fleet->count;
}

struct link *fleet_link(struct fleet *fleet, size_t server)
{
	ASSERT(server < fleet->count);
	return fleet->servers[server].link;
}

const struct err *fleet_failure(const struct fleet *fleet, size_t server)
{
	ASSERT(server < fleet->count);
	return fleet->servers[server].failed ? &fleet->servers[server].failure : NULL;
}

const struct server_state *fleet_state(const struct fleet *fleet, size_t server)
{
	ASSERT(server < fleet->count);
	return link_state(fleet->servers[server].link);
}

const struct link_results *fleet_results(const struct fleet *fleet, size_t server)
{
	ASSERT(server < fleet->count);
	return link_results(fleet->servers[server].link);
}
