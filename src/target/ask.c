/* The greeting, and the requests that are one record there and a few back. */
#include "target/internal.h"

#include "base/clock.h"

#include <limits.h>

/* --- reading ------------------------------------------------------------------- */

const char *link_text(struct link *link, const struct record *record, const char *key)
{
	struct slice value = record_get(record, key);
	return value.len ? arena_str(&link->arena, value) : "";
}

struct text_list link_texts(struct link *link, const struct record *record, const char *key)
{
	size_t count = 0, cursor = 0;
	struct slice value;
	while (record_next(record, key, &cursor, &value))
		count++;
	const char **items = ARENA_NEW_ARRAY(&link->arena, count + 1, const char *);
	cursor = count = 0;
	while (record_next(record, key, &cursor, &value))
		items[count++] = arena_str(&link->arena, value);
	return (struct text_list){items, count};
}

static enum err_code code_known(uint64_t code)
{
	switch (code) {
	case ERR_USER:
	case ERR_DENIED:
	case ERR_NETWORK:
	case ERR_NOT_FOUND:
	case ERR_CONFLICT:
	case ERR_GATE:
	case ERR_FAILED:
	case ERR_DRIFT:
	case ERR_MIXED:
		return (enum err_code)code;
	default:
		return ERR_INTERNAL;
	}
}

/* As it is but for what could draw on a terminal: a line for sudoers is copied from it. */
static void lines_put(struct buf *out, struct slice text)
{
	while (text.ptr) {
		buf_put_visible(out, slice_cut(&text, '\n'));
		if (text.ptr)
			buf_putc(out, '\n');
	}
}

int link_refusal(const struct record *record, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(RECORD_LEN_MAX * 4);
	AUTO(buf_free) struct buf hint = BUF_INIT(RECORD_LEN_MAX * 4);
	lines_put(&text, record_get(record, "text"));
	lines_put(&hint, record_get(record, "hint"));
	err_set(err, code_known(record_get_u64(record, "code", ERR_INTERNAL)), "%s",
		text.len ? buf_str(&text) : "the agent refused without a word");
	if (hint.len)
		err_hint(err, "%s", buf_str(&hint));
	return -1;
}

/* Room for one more in a list that lives in the arena; NULL when there are enough. */
static void *list_grow(struct link *link, void *list_pointer, size_t size)
{
	void **list = list_pointer;
	if (link->list_count == LINK_LIST_MAX)
		return NULL;
	if (link->list_count == link->list_cap) {
		size_t cap = link->list_cap ? 2 * link->list_cap : 16;
		void *fresh = arena_array(&link->arena, cap, size);
		if (link->list_count)
			memcpy(fresh, *list, link->list_count * size);
		*list = fresh;
		link->list_cap = cap;
	}
	return (char *)*list + size * link->list_count++;
}

static void progress_take(struct link *link, const struct record *record)
{
	char phase[16] = "";
	struct slice step = record_get(record, "step");
	memcpy(phase, step.ptr ? step.ptr : "", MIN(step.len, sizeof(phase) - 1));
	link_event(link, &(struct target_event){
				 .kind = TARGET_EVENT_PROGRESS,
				 .phase = phase,
				 .files = record_get_u64(record, "files", 0),
				 .files_total = record_get_u64(record, "files_total", 0),
				 .bytes = record_get_u64(record, "bytes", 0),
				 .bytes_total = record_get_u64(record, "bytes_total", 0),
			 });
}

/* --- the greeting, and what follows LEASED ------------------------------------------ */

/* Not into the link's arena: link_close wipes it where it stands. */
static void config_key_take(struct link *link, const struct record *record)
{
	struct slice key = record_get(record, "config_key");
	char *to = link->state.hello.config_key;

	explicit_bzero(to, sizeof(link->state.hello.config_key));
	if (key.len == CONFIG_KEY_HEX_LEN)
		memcpy(to, key.ptr, key.len);
}

static int hello_take(struct link *link, const struct record *record, struct err *err)
{
	struct server_hello *hello = &link->state.hello;
	if (record_need_u64(record, "layout", &hello->layout, err) < 0)
		return -1;
	hello->epoch = record_get_u64(record, "epoch", 0);
	hello->next = record_get_u64(record, "next", 0);
	hello->uid = record_get_u64(record, "uid", 0);
	hello->free_bytes = record_get_u64(record, "free_bytes", 0);
	hello->free_files = record_get_u64(record, "free_files", 0);
	hello->place_id = link_text(link, record, "place_id");
	hello->project = link_text(link, record, "project");
	hello->environment = link_text(link, record, "environment");
	hello->live = link_text(link, record, "live");
	hello->foreign = slice_is(record_get(record, "foreign"), "1");
	hello->shows = link_text(link, record, "shows");
	hello->fresh = slice_is(record_get(record, "fresh"), "1");
	hello->missing = slice_is(record_get(record, "missing"), "1");
	hello->path = link_text(link, record, "path");
	hello->user = link_text(link, record, "user");
	hello->host = link_text(link, record, "host");
	hello->system = link_text(link, record, "system");
	hello->arch = link_text(link, record, "arch");
	hello->ssh_address = link_text(link, record, "ssh_address");
	config_key_take(link, record);
	return 0;
}

static int activation_take(struct link *link, const struct record *record, struct err *err)
{
	if (link->activation_count == LINK_ACTIVATIONS_MAX)
		return err_set(err, ERR_INTERNAL, "the server names more than %d activations",
			       LINK_ACTIVATIONS_MAX);
	if (link->activation_count == link->activation_cap) {
		link->activation_cap = link->activation_cap ? 2 * link->activation_cap : 8;
		link->activations =
			mem_grow(link->activations, link->activation_cap, sizeof(*link->activations));
	}
	struct server_activation *activation = &link->activations[link->activation_count];
	*activation = (struct server_activation){0};
	/* An activation the journal knows nothing of has a name and nothing else. */
	struct slice release = record_get(record, "release");
	if (release.len && !digest_from_hex(release, &activation->release))
		return err_set(err, ERR_INTERNAL, "an activation's release is not a digest");
	if (release.len)
		digest_to_hex(&activation->release, activation->release_hex);
	activation->number = record_get_u64(record, "number", 0);
	activation->name = link_text(link, record, "name");
	activation->config = link_text(link, record, "config");
	activation->own_config = link_text(link, record, "own_config");
	activation->deployment = link_text(link, record, "deployment");
	activation->commit = link_text(link, record, "commit");
	activation->subject = link_text(link, record, "subject");
	activation->by = link_text(link, record, "by");
	activation->plan = link_text(link, record, "plan");
	activation->kind = link_text(link, record, "kind");
	activation->shape = link_text(link, record, "shape");
	activation->verdict = link_text(link, record, "verdict");
	activation->receipt = link_text(link, record, "receipt");
	activation->at = record_get_i64(record, "at", 0);
	activation->verified_at = record_get_i64(record, "verified_at", 0);
	link->activation_count++;
	return 0;
}

static void pending_take(struct link *link, const struct record *record)
{
	struct server_pending *pending = ARENA_NEW(&link->arena, struct server_pending);
	pending->deployment = link_text(link, record, "deployment");
	pending->name = link_text(link, record, "name");
	pending->release = link_text(link, record, "release");
	pending->config = link_text(link, record, "config");
	pending->plan = link_text(link, record, "plan");
	pending->by = link_text(link, record, "by");
	pending->previous = link_text(link, record, "previous");
	pending->decision_place = link_text(link, record, "decision_place");
	pending->decision_server = link_text(link, record, "decision_server");
	pending->decided = link_text(link, record, "decided");
	pending->phase = link_text(link, record, "phase");
	struct text_list servers = link_texts(link, record, "servers");
	pending->servers = servers.items;
	pending->server_count = servers.count;
	pending->number = record_get_u64(record, "number", 0);
	pending->at = record_get_i64(record, "at", 0);
	link->state.pending = pending;
}

static void state_forget(struct link *link)
{
	link->activation_count = 0;
	link->state.pending = NULL;
}

/* What was collected becomes what link_state shows. */
static void state_publish(struct link *link)
{
	struct server_activation *list =
		ARENA_NEW_ARRAY(&link->arena, link->activation_count + 1, struct server_activation);
	if (link->activation_count)
		memcpy(list, link->activations, link->activation_count * sizeof(*list));
	link->state.activations = list;
	link->state.activation_count = link->activation_count;
}

/* Texts nobody has told us yet are empty, as they are in the greeting of a server
 * whose journal does not know them. */
void link_note_prepared(struct link *link)
{
	const struct prepare_result *prepare = &link->results.prepare;
	size_t count = link->state.activation_count + 1;
	struct server_activation *list = ARENA_NEW_ARRAY(&link->arena, count, struct server_activation);
	list[0] = (struct server_activation){.number = prepare->number,
					     .name = prepare->name,
					     .release = link->release,
					     .deployment = link->deployment,
					     .config = "",
					     .own_config = "",
					     .commit = "",
					     .subject = "",
					     .by = "",
					     .plan = "",
					     .kind = "",
					     .shape = "",
					     .verdict = "prepared",
					     .receipt = ""};
	digest_to_hex(&link->release, list[0].release_hex);
	memcpy(list + 1, link->state.activations, (count - 1) * sizeof(*list));
	link->state.activations = list;
	link->state.activation_count = count;
}

static int state_take(struct link *link, uint8_t type, const struct record *record, struct err *err)
{
	if (type == MSG_ACTIVATION)
		return activation_take(link, record, err);
	if (type == MSG_PENDING)
		pending_take(link, record);
	return 0;
}

static void scan_begin(struct link *link)
{
	link_begin(link, MSG_SCAN, "scan");
	link->edits = NULL;
	link->results.scan = (struct scan_result){0};
}

int link_take_greeting(struct link *link, uint8_t type, const struct record *record, struct err *err)
{
	if (type == MSG_HELLO)
		return hello_take(link, record, err);
	if (type == MSG_REFUSED) {
		struct err refusal = ERR_INIT;
		link_refusal(record, &refusal);
		link_lose(link, &refusal);
		return 0;
	}
	if (state_take(link, type, record, err) < 0)
		return -1;
	if (type != MSG_READY)
		return 0;
	state_publish(link);
	link->greeted = true;
	link_finish(link);
	if (link->status != LINK_IDLE || !link->options.scan_at_once)
		return 0;
	link->early = true;
	scan_begin(link);
	return talk_from_controller(&link->talk, MSG_SCAN, 0, err);
}

/* --- answers ------------------------------------------------------------------------- */

static void lease_refused(struct link *link, const struct record *record)
{
	struct lease_result *lease = &link->results.lease;
	lease->held_by = link_text(link, record, "held_by");
	lease->held_deployment = link_text(link, record, "deployment");
	lease->held_since = record_get_i64(record, "since", 0);
}

static void waiting_take(struct link *link, const struct record *record)
{
	AUTO(buf_free) struct buf text = BUF_INIT(4096);
	buf_put_printable(&text, record_get(record, "held_by"));
	buf_puts(&text, " is deploying (");
	buf_put_printable(&text, record_get(record, "deployment"));
	buf_puts(&text, ")");
	link_event(link, &(struct target_event){.kind = TARGET_EVENT_WAITING, .text = buf_slice(&text)});
}

static void leased_take(struct link *link, const struct record *record)
{
	struct lease_result *lease = &link->results.lease;
	*lease = (struct lease_result){.epoch = record_get_u64(record, "epoch", 0),
				       .next = record_get_u64(record, "next", 0),
				       .place_id = link_text(link, record, "place_id")};
	link->state.hello.epoch = lease->epoch;
	link->state.hello.next = lease->next;
	link->state.hello.place_id = lease->place_id;
	link->state.hello.fresh = false;
	config_key_take(link, record);
	/* Another deployment may have ended while we waited. */
	struct slice live;
	if (record_need(record, "live", &live, &(struct err){0}) == 0)
		link->state.hello.live = link_text(link, record, "live");
	state_forget(link);
}

static void edit_take(struct link *link, const struct record *record)
{
	struct server_edit *edit = list_grow(link, &link->edits, sizeof(*edit));
	link->results.scan.edit_count++;
	if (!edit)
		return;
	edit->path = link_text(link, record, "path");
	edit->kind = link_text(link, record, "kind");
	edit->seen = link_text(link, record, "seen");
	edit->expected = link_text(link, record, "expected");
	edit->owner = link_text(link, record, "owner");
	edit->activation = link_text(link, record, "activation");
	edit->rendered = slice_is(record_get(record, "rendered"), "1");
	edit->modified = record_get_i64(record, "modified", 0);
}

static void scanned_take(struct link *link, const struct record *record)
{
	struct scan_result *scan = &link->results.scan;
	scan->files = record_get_u64(record, "files", 0);
	scan->hashed = record_get_u64(record, "hashed", 0);
	scan->edit_count = MAX(scan->edit_count, record_get_u64(record, "edits", 0));
	scan->live = link_text(link, record, "live");
	scan->edits = link->edits;
	scan->edits_kept = link->list_count;
}

static void line_take(struct link *link, const struct record *record)
{
	const char **line = list_grow(link, &link->lines, sizeof(*line));
	/* The last lines are the ones that matter: a list that is full starts again. */
	if (!line) {
		memmove(link->lines, link->lines + 1, (LINK_LIST_MAX - 1) * sizeof(*line));
		line = &link->lines[LINK_LIST_MAX - 1];
	}
	*line = link_text(link, record, "line");
}

static void problem_take(struct link *link, const struct record *record)
{
	struct server_problem *problem = list_grow(link, &link->problems, sizeof(*problem));
	if (!problem)
		return;
	problem->severity = link_text(link, record, "severity");
	problem->what = link_text(link, record, "what");
	problem->why = link_text(link, record, "why");
	problem->hint = link_text(link, record, "hint");
}

static void use_take(struct link *link, const struct record *record)
{
	struct server_use *use = list_grow(link, &link->uses, sizeof(*use));
	if (!use)
		return;
	use->pid = record_get_u64(record, "pid", 0);
	use->name = link_text(link, record, "name");
	use->what = link_text(link, record, "what");
	use->command = link_text(link, record, "command");
}

static void output_take(struct link *link, const struct record *record)
{
	link_event(link, &(struct target_event){
				 .kind = TARGET_EVENT_OUTPUT,
				 .is_stderr = slice_is(record_get(record, "stream"), "err"),
				 .text = record_get(record, "text"),
			 });
}

static void done_take(struct link *link, const struct record *record)
{
	struct link_results *results = &link->results;
	switch (link->request) {
	case MSG_JOURNAL:
		results->journal = (struct journal_result){link->lines, link->list_count};
		break;
	case MSG_CHECK:
		results->check = (struct check_result){link->problems, link->list_count,
						       record_get_u64(record, "bad", 0),
						       record_get_u64(record, "warn", 0)};
		break;
	case MSG_USES:
		results->uses = (struct uses_result){link->uses, link->list_count};
		break;
	default:
		break;
	}
	link_finish(link);
}

static void activated_take(struct link *link, const struct record *record)
{
	struct activate_result *activate = &link->results.activate;
	activate->name = link_text(link, record, "name");
	activate->previous = link_text(link, record, "previous");
	activate->at = record_get_i64(record, "at", 0);
	link->state.hello.live = activate->name;
}

static void ran_take(struct link *link, const struct record *record)
{
	link->results.run = (struct run_result){
		.status = (int)MIN(record_get_u64(record, "status", 0), (uint64_t)INT_MAX),
		.signal = (int)MIN(record_get_u64(record, "signal", 0), (uint64_t)INT_MAX),
		.timed_out = slice_is(record_get(record, "timed_out"), "1"),
		.duration_ms = record_get_i64(record, "duration_ms", 0),
	};
}

static void reloaded_take(struct link *link, const struct record *record)
{
	struct reload_result *reload = &link->results.reload;
	reload->kind = link_text(link, record, "kind");
	reload->proved = link_text(link, record, "proved");
	reload->why = link_text(link, record, "why");
	reload->processes = record_get_u64(record, "processes", 0);
}

static void pruned_take(struct link *link, const struct record *record)
{
	struct prune_result *prune = &link->results.prune;
	prune->removed = link_texts(link, record, "removed");
	prune->trashed = link_texts(link, record, "trashed");
	prune->in_use = link_texts(link, record, "in_use");
	prune->problem = link_text(link, record, "problem");
}

/* A scan ended. Nobody asked for the early one yet: when it was refused, whoever
 * asks is told then. */
static void early_over(struct link *link, bool good)
{
	bool early = link->early, alone = link->behind_count == 0;
	link_finish(link);
	link->early = false;
	if (early && good && alone)
		link->scan_fresh_until_ms = clock_mono_ms() + LINK_SCAN_FRESH_MS;
}

int link_take_answer(struct link *link, uint8_t type, const struct record *record, struct err *err)
{
	struct err refusal = ERR_INIT;
	switch (type) {
	case MSG_REFUSED:
		if (link->request == MSG_LEASE)
			lease_refused(link, record);
		if (link->early) {
			early_over(link, false);
			return 0;
		}
		link_refusal(record, &refusal);
		link_refuse(link, &refusal);
		return 0;
	case MSG_PROGRESS:
		progress_take(link, record);
		return 0;
	case MSG_WAITING:
		waiting_take(link, record);
		return 0;
	case MSG_LEASED:
		leased_take(link, record);
		return 0;
	case MSG_ACTIVATION:
	case MSG_PENDING:
		return state_take(link, type, record, err);
	case MSG_READY:
		state_publish(link);
		break;
	case MSG_EDIT:
		edit_take(link, record);
		return 0;
	case MSG_SCANNED:
		scanned_take(link, record);
		early_over(link, true);
		return 0;
	case MSG_LINE:
		line_take(link, record);
		return 0;
	case MSG_PROBLEM:
		problem_take(link, record);
		return 0;
	case MSG_USE:
		use_take(link, record);
		return 0;
	case MSG_OUTPUT:
		output_take(link, record);
		return 0;
	case MSG_DONE:
		done_take(link, record);
		return 0;
	case MSG_ACTIVATED:
		activated_take(link, record);
		break;
	case MSG_RELOADED:
		reloaded_take(link, record);
		break;
	case MSG_RAN:
		ran_take(link, record);
		break;
	case MSG_PRUNED:
		pruned_take(link, record);
		break;
	default:
		return err_set(err, ERR_INTERNAL, "the agent answered with message %u", type);
	}
	link_finish(link);
	return 0;
}

/* --- asking ---------------------------------------------------------------------------- */

static void put_list(struct buf *out, const char *key, struct text_list list)
{
	for (size_t i = 0; i < list.count; i++)
		record_put_str(out, key, list.items[i]);
}

static void put_secrets(struct buf *out, const struct secret_variable *secrets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		AUTO(buf_free) struct buf pair = BUF_SECRET(RECORD_LEN_MAX);
		buf_puts(&pair, secrets[i].name);
		buf_putc(&pair, '=');
		buf_put_slice(&pair, secrets[i].value);
		out->overflow = out->overflow || pair.overflow;
		record_put(out, "secret_env", buf_slice(&pair));
	}
}

/* A record of the request's name that begins with our epoch. */
static void begin_changing(struct link *link, struct buf *record, const char *name)
{
	record_begin(record, name);
	record_put_u64(record, "epoch", link->results.lease.epoch);
}

static void ask(struct link *link, uint8_t request, struct buf *record)
{
	link_send_record(link, request, record);
}

void lease_send(struct link *link, const struct lease_request *request)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	record_begin(&record, "lease");
	record_put_opt(&record, "project", request->project);
	record_put_opt(&record, "environment", request->environment);
	record_put_opt(&record, "by", request->by);
	record_put_opt(&record, "deployment", request->deployment);
	record_put_i64(&record, "wait_ms", request->wait_ms);
	if (request->take_over)
		record_put_u64(&record, "take_over", 1);
	ask(link, MSG_LEASE, &record);
}

void link_lease(struct link *link, const struct lease_request *request)
{
	link_begin(link, MSG_LEASE, "lease");
	lease_send(link, request);
}

void link_scan(struct link *link, bool deep)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	if (!deep && clock_mono_ms() < link->scan_fresh_until_ms) {
		link_begin(link, MSG_SCAN, "scan");
		if (link->status == LINK_BUSY)
			link_finish(link);
		return;
	}
	scan_begin(link);
	record_begin(&record, "scan");
	if (deep)
		record_put_u64(&record, "deep", 1);
	ask(link, MSG_SCAN, &record);
}

void link_decide(struct link *link, const struct decide_request *request)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	link_begin(link, MSG_DECIDE, "decide");
	begin_changing(link, &record, "decide");
	record_put_opt(&record, "deployment", request->deployment);
	record_put_opt(&record, "decision", request->decision);
	record_put_opt(&record, "why", request->why);
	ask(link, MSG_DECIDE, &record);
}

static void put_activate_request(struct buf *record, const struct activate_request *request)
{
	record_put_opt(record, "deployment", request->deployment);
	record_put_str(record, "expect", request->expect ? request->expect : "");
	if (request->decide)
		record_put_u64(record, "decide", 1);
}

void link_activate(struct link *link, const struct activate_request *request)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	link_begin(link, MSG_ACTIVATE, "activate");
	begin_changing(link, &record, "activate");
	put_activate_request(&record, request);
	ask(link, MSG_ACTIVATE, &record);
}

static void ask_about(struct link *link, uint8_t request, const char *name, const char *deployment)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	link_begin(link, request, name);
	begin_changing(link, &record, name);
	record_put_opt(&record, "deployment", deployment);
	ask(link, request, &record);
}

void link_revert(struct link *link, const char *deployment)
{
	ask_about(link, MSG_REVERT, "revert", deployment);
}

void link_abandon(struct link *link, const char *deployment)
{
	ask_about(link, MSG_ABANDON, "abandon", deployment);
}

void link_reload(struct link *link, const struct reload_request *request)
{
	AUTO(buf_free) struct buf record = BUF_SECRET(RECORD_LEN_MAX);
	link_begin(link, MSG_RELOAD, "reload");
	begin_changing(link, &record, "reload");
	record_put_opt(&record, "deployment", request->deployment);
	record_put_opt(&record, "spec", request->spec);
	record_put_i64(&record, "timeout_ms", request->timeout_ms);
	record_put_opt(&record, "away_from", request->away_from);
	put_list(&record, "env", request->env);
	put_secrets(&record, request->secret_env, request->secret_env_count);
	ask(link, MSG_RELOAD, &record);
}

void link_run(struct link *link, const struct run_request *request)
{
	AUTO(buf_free) struct buf record = BUF_SECRET(RECORD_LEN_MAX);
	link_begin(link, MSG_RUN, "run");
	link->results.run = (struct run_result){0};
	begin_changing(link, &record, "run");
	record_put_opt(&record, "deployment", request->deployment);
	record_put_opt(&record, "point", request->point);
	record_put_u64(&record, "index", request->index);
	record_put_opt(&record, "command", request->command);
	record_put_opt(&record, "as", request->as);
	record_put_i64(&record, "timeout_ms", request->timeout_ms);
	record_put_opt(&record, "dir", request->dir);
	put_list(&record, "env", request->env);
	put_secrets(&record, request->secret_env, request->secret_env_count);
	record_put_opt(&record, "on_retry", request->on_retry);
	ask(link, MSG_RUN, &record);
}

static void put_record_request(struct buf *record, const struct record_request *request)
{
	record_put_opt(record, "event", request->event);
	for (size_t i = 0; i < request->count; i++)
		record_put_opt(record, request->keys[i], request->values[i]);
	if (request->keep)
		record_put_u64(record, "keep", request->keep);
}

void link_record(struct link *link, const struct record_request *request)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	link_begin(link, MSG_RECORD, "record");
	begin_changing(link, &record, "record");
	put_record_request(&record, request);
	ask(link, MSG_RECORD, &record);
}

void link_activate_record(struct link *link, const struct activate_request *activate,
			  const struct record_request *request, bool leave)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	struct err err = ERR_INIT;
	begin_changing(link, &record, "record");
	record_put_u64(&record, "behind", 1);
	put_record_request(&record, request);
	link_activate(link, activate);
	if (link->status != LINK_BUSY)
		return;
	if (buf_check(&record, "a request to a server", &err) < 0) {
		link_lose(link, &err);
		return;
	}
	link_begin_behind(link, MSG_RECORD, "record");
	ask(link, MSG_RECORD, &record);
	if (leave && link->status == LINK_BUSY)
		link->leaving = link_send(link, MSG_BYE, SLICE("bye"));
}

void carry_put(struct buf *record, const struct carry_request *request, uint64_t epoch)
{
	record_begin(record, "offered");
	record_put_u64(record, "epoch", epoch);
	put_activate_request(record, &request->activate);
	if (request->record)
		put_record_request(record, request->record);
}

void link_prune(struct link *link, uint64_t keep)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	link_begin(link, MSG_PRUNE, "prune");
	begin_changing(link, &record, "prune");
	record_put_u64(&record, "keep", keep);
	ask(link, MSG_PRUNE, &record);
}

void link_journal(struct link *link, uint64_t last)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	link_begin(link, MSG_JOURNAL, "journal");
	link->lines = NULL;
	record_begin(&record, "journal");
	record_put_u64(&record, "last", last);
	ask(link, MSG_JOURNAL, &record);
}

void link_check(struct link *link, const struct check_request *request)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	link_begin(link, MSG_CHECK, "check");
	link->problems = NULL;
	record_begin(&record, "check");
	record_put_opt(&record, "user", request->user);
	put_list(&record, "reload", request->reloads);
	put_list(&record, "shared_file", request->shared_files);
	put_list(&record, "owner", request->owners);
	put_list(&record, "group", request->groups);
	record_put_opt(&record, "link", request->link_mode);
	ask(link, MSG_CHECK, &record);
}

void link_uses(struct link *link)
{
	AUTO(buf_free) struct buf record = BUF_INIT(RECORD_LEN_MAX);
	link_begin(link, MSG_USES, "uses");
	link->uses = NULL;
	record_begin(&record, "uses");
	ask(link, MSG_USES, &record);
}
