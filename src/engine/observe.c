/* Which places there are, what each is asked, and its one snapshot. Databases and what is
 * seen from beside stand in observe_beside.c. */
#include "engine/observe.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/random.h"
#include "base/stop.h"
#include "base/wipe.h"
#include "engine/configuration.h"
#include "engine/dimension.h"
#include "engine/fleet_of.h"
#include "engine/observe_beside.h"
#include "engine/snapshot_file.h"
#include "model/release.h"
#include "probe/probe.h"
#include "target/read_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* One of the subjects: an environment, a place without a project, or a release. */
struct subject {
	const char *name;
	const struct environment *environment; /* NULL: a place, or a release */
	struct place place;
	bool is_release;
	struct digest release;
	size_t first, count;		     /* its items */
	struct configuration *configuration; /* NULL: none could be read, or none is needed */
	struct beside *beside;
	int beside_fd; /* its facts; -1: none */
};

enum { GAPS_BYTES_MAX = 1 << 20, RELEASE_BYTES_MAX = 256 << 20 };

struct run {
	struct engine *engine;
	/* Of the run, not of a frame: threads read it until run_close has joined them. */
	struct observe_request chosen;
	const struct observe_request *request;
	struct observation *out;
	struct subject *subjects;
	size_t count;
	struct safe *safe;
	struct history_keys keys; /* of a project's history */
	bool has_keys;
};

static void run_close(struct run *run)
{
	for (size_t i = 0; i < run->count; i++) {
		close_fd(&run->subjects[i].beside_fd);
		beside_close(&run->subjects[i].beside);
		if (run->subjects[i].configuration)
			configuration_close(run->subjects[i].configuration);
	}
	safe_close(&run->safe);
}

/* --- what the subjects are ------------------------------------------------------------ */

static int parse_release(struct run *run, struct subject *subject, struct slice text, struct err *err)
{
	struct release row;

	if (!run->engine->project)
		return err_set(err, ERR_USER, "%s: a release belongs to a project, and there is no %s here",
			       subject->name, PROJECT_FILE);
	if (release_find(run->engine->home.db, &run->engine->arena, run->engine->project->name, text, &row,
			 err))
		return -1;
	subject->is_release = true;
	return digest_from_hex(slice_of(row.digest), &subject->release)
		       ? 0
		       : err_set(err, ERR_INTERNAL, "%s: the record of this release is damaged",
				 subject->name);
}

static int parse_place(struct run *run, struct subject *subject, struct err *err)
{
	struct arena *arena = &run->engine->arena;
	const char *text = subject->name;
	char here[4096];

	/* A folder of this machine, as one types it. */
	if (text[0] == '.' || text[0] == '/' || text[0] == '~') {
		const char *home = getenv("HOME");
		const char *path =
			text[0] == '~' ? arena_printf(arena, "%s%s", home ? home : "", text + 1) : text;
		if (!realpath(path, here))
			return err_errno(err, "%s", text);
		text = arena_printf(arena, "local://%s", here);
	}
	return place_parse(arena, slice_of(text), (struct origin){0}, &subject->place, err);
}

static int parse_subject(struct run *run, const char *name, struct subject *subject, struct err *err)
{
	const struct project *project = run->engine->project;

	*subject = (struct subject){.name = name, .beside_fd = -1};
	if (strncmp(name, "release:", 8) == 0)
		return parse_release(run, subject, slice_of(name + 8), err);
	if (project && (subject->environment = project_environment(project, name)))
		return 0;
	if (strpbrk(name, ":/@.~"))
		return parse_place(run, subject, err);
	if (project)
		return project_find_environment(project, name, &subject->environment, err);
	err_set(err, ERR_NOT_FOUND, "%s is no place, and without a %s there are no environments", name,
		PROJECT_FILE);
	return err_hint(err, "name a place as for scp: `lockstep diff deploy@%s:/var/www/shop …`", name);
}

static void add_item(struct run *run, struct subject *subject, const char *label, const char *key,
		     const char *group)
{
	run->out->items[run->out->count++] = (struct observed){
		.environment = subject->name,
		.label = label,
		.key = key,
		.group = group,
		.fd = -1,
		.applied = {.release = "", .config = "", .commit = "", .by = "", .deployment = ""},
		.of = subject->environment,
	};
	subject->count++;
}

static int parse_subjects(struct run *run, struct err *err)
{
	struct arena *arena = &run->engine->arena;
	struct observation *out = run->out;
	size_t servers = 0;

	run->subjects = ARENA_NEW_ARRAY(arena, run->request->count, struct subject);
	for (; run->count < run->request->count; run->count++) {
		struct subject *subject = &run->subjects[run->count];
		if (parse_subject(run, run->request->subjects[run->count], subject, err))
			return -1;
		for (size_t i = 0; i < run->count; i++)
			if (strcmp(run->subjects[i].name, subject->name) == 0)
				return err_set(err, ERR_USER, "%s is named twice", subject->name);
		servers += subject->environment ? subject->environment->servers.count : 1;
	}
	out->items = ARENA_NEW_ARRAY(arena, servers, struct observed);
	out->environments = ARENA_NEW_ARRAY(arena, run->count, const char *);
	for (size_t i = 0; i < run->count; i++) {
		struct subject *subject = &run->subjects[i];
		out->environments[out->environment_count++] = subject->name;
		subject->first = out->count;
		if (subject->environment)
			for (size_t s = 0; s < subject->environment->servers.count; s++) {
				const struct server *server = &subject->environment->servers.items[s];
				add_item(run, subject, server_label(arena, server), server_key(arena, server),
					 server->group);
			}
		else if (subject->is_release)
			add_item(run, subject, subject->name, subject->name, NULL);
		else
			add_item(run, subject, place_label(arena, &subject->place),
				 place_key(arena, &subject->place), NULL);
	}
	return 0;
}

/* --- asking --------------------------------------------------------------------------- */

bool observe_wants(const struct observe_request *request, const char *dimension)
{
	for (size_t i = 0; i < request->only_count; i++)
		if (strcmp(request->only[i], dimension) == 0)
			return true;
	return request->only_count == 0;
}

bool observe_skips(const struct environment *environment, const char *dimension)
{
	const struct str_list *list = environment ? &environment->parity.looks.skip : NULL;

	for (size_t i = 0; list && i < list->count; i++)
		if (strcmp(list->items[i], dimension) == 0)
			return true;
	return false;
}

bool observation_looked(const struct observation *observation, const struct environment *environment,
			const char *dimension)
{
	const struct observe_request request = {.only = observation->only,
						.only_count = observation->only_count};

	return observe_wants(&request, dimension) && !observe_skips(environment, dimension);
}

/* What lockstep.yml says to look at, where nobody asked for anything else: `only`, and not
 * what all of the subjects skip. One that a part of them skips is a gap of theirs. */
static void choose_dimensions(struct run *run)
{
	const struct project *project = run->engine->project;
	struct observe_request *chosen = &run->chosen;
	const struct dimension *dimension;

	if (!project || run->request->only_count)
		return;
	const char **only = ARENA_NEW_ARRAY(&run->engine->arena, dimension_count(), const char *);
	for (size_t i = 0; (dimension = dimension_at(i)); i++) {
		bool named = project->parity.only.count == 0, skipped = run->count > 0;
		for (size_t k = 0; k < project->parity.only.count; k++)
			named = named || strcmp(project->parity.only.items[k], dimension->name) == 0;
		for (size_t k = 0; k < run->count; k++)
			skipped = skipped && observe_skips(run->subjects[k].environment, dimension->name);
		if (named && !skipped)
			only[chosen->only_count++] = dimension->name;
	}
	/* Nothing left is not everything. */
	if (chosen->only_count == 0)
		only[chosen->only_count++] = "";
	chosen->only = only;
	run->request = chosen;
}

static int check_only(const struct observe_request *request, struct err *err)
{
	for (size_t i = 0; i < request->only_count; i++) {
		const char *nearest = NULL;
		if (dimension_known(request->only[i], &nearest))
			continue;
		err_set(err, ERR_USER, "%s is no dimension", request->only[i]);
		return nearest ? err_hint(err, "did you mean %s? `lockstep help facts` lists them all",
					  nearest)
			       : err_hint(err, "`lockstep help facts` lists them all");
	}
	return 0;
}

static void configurations_begin(struct run *run)
{
	for (size_t i = 0; i < run->count; i++) {
		struct subject *subject = &run->subjects[i];
		if (!subject->environment)
			continue;
		subject->configuration = ARENA_NEW(&run->engine->arena, struct configuration);
		configuration_begin(run->engine, subject->environment, false, subject->configuration);
	}
}

/* Without its configuration an environment is still worth looking at. */
static void configurations_finish(struct run *run)
{
	for (size_t i = 0; i < run->count; i++) {
		struct subject *subject = &run->subjects[i];
		struct err err = ERR_INIT;
		if (!subject->configuration || configuration_finish(subject->configuration, &err) == 0)
			continue;
		event_note(&run->engine->events, "warn", "%s: its configuration cannot be read: %s",
			   subject->name, err.text);
		configuration_close(subject->configuration);
		subject->configuration = NULL;
	}
}

static struct text_list texts_of(const struct str_list *list)
{
	return (struct text_list){list->items, list->count};
}

static void order_of_environment(struct run *run, const struct environment *environment,
				 const struct server *server, struct probe_order *order)
{
	struct arena *arena = &run->engine->arena;
	const struct delivery *delivery = &environment->delivery;
	const char **reloads = ARENA_NEW_ARRAY(arena, delivery->reload.count, const char *);
	const char **rendered = ARENA_NEW_ARRAY(arena, environment->files.count, const char *);
	size_t reload_count = 0, rendered_count = 0;

	for (size_t i = 0; i < delivery->reload.count; i++)
		if (server_in_group(server, delivery->reload.items[i].group) &&
		    delivery->reload.items[i].subject)
			reloads[reload_count++] = delivery->reload.items[i].text;
	for (size_t i = 0; i < environment->files.count; i++)
		if (environment->files.items[i].path)
			rendered[rendered_count++] = environment->files.items[i].path;
	order->user = delivery->user;
	order->reloads = (struct text_list){reloads, reload_count};
	order->rendered = (struct text_list){rendered, rendered_count};
	order->generated = texts_of(&delivery->generated);
	order->paths = texts_of(&environment->parity.looks.paths);
	order->env_files = texts_of(&environment->parity.looks.env_files);
	/* Those with a secret or provider's value in them are looked up from beside alone. */
	const char **names = ARENA_NEW_ARRAY(arena, environment->parity.names.count, const char *);
	size_t name_count = 0;
	for (size_t i = 0; i < environment->parity.names.count; i++)
		if (!environment->parity.names.items[i].late)
			names[name_count++] = environment->parity.names.items[i].text;
	order->names = (struct text_list){names, name_count};
}

static struct probe_order order_of(struct run *run, struct subject *subject, size_t server)
{
	static const char *const usual[] = {".env"};
	struct probe_order order = {.env_files = {usual, 1}};

	if (subject->environment)
		order_of_environment(run, subject->environment, &subject->environment->servers.items[server],
				     &order);
	memcpy(order.run_key, run->out->run_key, sizeof(order.run_key));
	if (run->has_keys && subject->environment) {
		struct digest key;
		const char *text = run->out->items[subject->first + server].key;
		AUTO(buf_free) struct buf name = BUF_INIT(8 << 10);
		buf_printf(&name, "facts of %s", text);
		digest_hmac(secret_reveal(run->keys.fingerprint), buf_slice(&name), &key);
		memcpy(order.kept_key, key.bytes, sizeof(order.kept_key));
		order.has_kept_key = true;
		wipe_bytes(&key, sizeof(key));
	}
	return order;
}

/* --- one snapshot a server -------------------------------------------------------------- */

/* What nobody looked at is said, dimension by dimension: a gap must never look like "missing". */
static int put_gaps(const struct run *run, struct fact_list *list, bool of_server, bool beside,
		    const char *why, struct err *err)
{
	const struct dimension *dimension;

	for (size_t i = 0; (dimension = dimension_at(i)); i++) {
		char key[64];
		if (!observe_wants(run->request, dimension->name) ||
		    (dimension->of_server ? !of_server : !beside))
			continue;
		snprintf(key, sizeof(key), "%s/", dimension->name);
		if (fact_add(list, slice_of(key), FACT_NOT_CHECKED, slice_of(why), err))
			return -1;
	}
	return 0;
}

static int put_skipped(const struct run *run, struct fact_list *list, const struct subject *subject,
		       struct err *err)
{
	const struct dimension *dimension;

	for (size_t i = 0; (dimension = dimension_at(i)); i++) {
		char key[64];
		if (!observe_wants(run->request, dimension->name) ||
		    !observe_skips(subject->environment, dimension->name))
			continue;
		snprintf(key, sizeof(key), "%s/", dimension->name);
		if (fact_add(list, slice_of(key), FACT_NOT_CHECKED, SLICE("left out by `parity: skip`"), err))
			return -1;
	}
	return 0;
}

/* `seen_fd`: what its agent saw; -1: nothing. */
static int merge_item(struct run *run, struct subject *subject, struct observed *item, int seen_fd,
		      struct err *err)
{
	AUTO(fact_list_free) struct fact_list gaps = FACT_LIST_INIT(GAPS_BYTES_MAX);
	AUTO(close_fd) int gaps_fd = -1, fd = -1;
	struct fact_reader *readers[3];
	size_t count = 0;

	if (put_gaps(run, &gaps, seen_fd < 0, false, item->why ? item->why : "not looked at", err) ||
	    put_skipped(run, &gaps, subject, err) || snapshot_file_of_list(&gaps, &gaps_fd, err) ||
	    file_nameless_open(NULL, &fd, err))
		return -1;
	if (seen_fd >= 0)
		readers[count++] = fact_reader_of_fd(seen_fd);
	if (subject->beside_fd >= 0)
		readers[count++] = fact_reader_of_fd(subject->beside_fd);
	readers[count++] = fact_reader_of_fd(gaps_fd);
	AUTO(fact_writer_free) struct fact_writer writer = {0};
	fact_writer_init(&writer, snapshot_file_put, &fd);
	int result = fact_merge(readers, count, &writer, err) || fact_writer_end(&writer, err) ? -1 : 0;
	for (size_t i = 0; i < count; i++)
		fact_reader_free(&readers[i]);
	if (result)
		return err_wrap(err, "facts of %s", item->label);
	item->fd = steal_fd(&fd);
	return 0;
}

/* A release is its files: content and mode, and where links point is not kept in it. */
static int observe_release(struct run *run, struct subject *subject, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(RELEASE_BYTES_MAX);
	struct manifest manifest;

	if (store_load_manifest(run->engine->store, &subject->release, &arena, &manifest, err))
		return err_wrap(err, "%s", subject->name);
	if (manifest_facts(&manifest, &list, err) ||
	    put_gaps(run, &list, true, true, "a release has files only", err))
		return err_wrap(err, "%s", subject->name);
	AUTO(close_fd) int fd = -1;
	if (snapshot_file_of_list(&list, &fd, err))
		return -1;
	run->out->items[subject->first].fd = steal_fd(&fd);
	return 0;
}

int manifest_facts(const struct manifest *manifest, struct fact_list *list, struct err *err)
{
	AUTO(buf_free) struct buf key = BUF_INIT(FACT_KEY_MAX);
	const struct fact put_by = {.key = SLICE("file/./put_by"),
				    .value = SLICE("lockstep"),
				    .kind = FACT_TEXT,
				    .evidence = true};

	if (fact_add_fact(list, &put_by, err))
		return -1;
	for (size_t i = 0; i < manifest->count; i++) {
		const struct entry *entry = &manifest->entries[i];
		char mode[8];
		if (entry->type == ENTRY_LINK)
			continue;
		buf_clear(&key);
		buf_printf(&key, "file/%.*s/content", SLICE_ARG(entry->path));
		if (entry->type == ENTRY_FILE && fact_add(list, buf_slice(&key), FACT_DIGEST,
							  slice_make(entry->digest.bytes, DIGEST_LEN), err))
			return -1;
		buf_clear(&key);
		buf_printf(&key, "file/%.*s/mode", SLICE_ARG(entry->path));
		snprintf(mode, sizeof(mode), "%04o", entry->mode);
		if (fact_add(list, buf_slice(&key), FACT_TEXT, slice_of(mode), err))
			return -1;
	}
	return 0;
}

/* --- all of it ------------------------------------------------------------------------ */

static void pass_event(void *context, const struct target_event *event)
{
	struct run *run = context;

	if (event->kind != TARGET_EVENT_FAILED && event->kind != TARGET_EVENT_WARNING)
		return;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	size_t server = event->server;
	for (size_t i = 0; i < run->count; i++) {
		struct subject *subject = &run->subjects[i];
		if (subject->is_release)
			continue;
		if (server < subject->count) {
			event_note(&run->engine->events, "warn", "%s: %s",
				   run->out->items[subject->first + server].label,
				   arena_str(&arena, event->text));
			return;
		}
		server -= subject->count;
	}
}

static void note_applied(struct arena *arena, struct observed *item, const struct server_state *state)
{
	const struct server_activation *live = state_live(state);

	if (!live)
		return;
	item->applied.release = arena_strdup(arena, live->release_hex);
	item->applied.config = arena_strdup(arena, live->config);
	item->applied.commit = arena_strdup(arena, live->commit);
	item->applied.by = arena_strdup(arena, live->by);
	item->applied.deployment = arena_strdup(arena, live->deployment);
	item->applied.at_ms = live->at;
}

static struct text_list without_skipped(struct arena *arena, const struct subject *subject,
					const char **dimensions, size_t count)
{
	const char **kept = ARENA_NEW_ARRAY(arena, count, const char *);
	size_t kept_count = 0;

	for (size_t i = 0; i < count; i++)
		if (!observe_skips(subject->environment, dimensions[i]))
			kept[kept_count++] = dimensions[i];
	return (struct text_list){kept, kept_count};
}

/* Signals are heard while the fleet's loop turns: until all threads are done, it does. */
static int wait_beside(struct run *run, struct fleet *fleet, struct err *err)
{
	enum { LOOK_MS = 5 };

	for (size_t i = 0; i < run->count; i++)
		while (run->subjects[i].beside && !beside_done(run->subjects[i].beside))
			if (fleet_wait(fleet, LOOK_MS, err))
				return -1;
	return 0;
}

/* Every place in one fleet: fifty servers of four environments take as long as the slowest. */
static int ask_servers(struct run *run, struct err *err)
{
	struct arena *arena = &run->engine->arena;
	struct place_address *addresses = ARENA_NEW_ARRAY(arena, run->out->count, struct place_address);
	struct probe_order *orders = ARENA_NEW_ARRAY(arena, run->out->count, struct probe_order);
	const char **dimensions = ARENA_NEW_ARRAY(arena, dimension_count(), const char *);
	bool *is_new = ARENA_NEW_ARRAY(arena, run->out->count, bool);
	AUTO(fleet_close) struct fleet *fleet = NULL;
	struct err unreachable = ERR_INIT;
	size_t count = 0, dimension_total = 0;
	const struct dimension *dimension;

	for (size_t i = 0; (dimension = dimension_at(i)); i++)
		if (dimension->of_server && observe_wants(run->request, dimension->name))
			dimensions[dimension_total++] = dimension->name;
	for (size_t i = 0; i < run->count; i++) {
		struct subject *subject = &run->subjects[i];
		for (size_t s = 0; s < subject->count && !subject->is_release; s++) {
			is_new[count] = !subject->environment ||
					server_is_new(run->engine, subject->environment,
						      &subject->environment->servers.items[s]);
			addresses[count++] =
				subject->environment
					? server_address(&subject->environment->servers.items[s])
					: (struct place_address){subject->place.kind,
								 subject->place.user,
								 subject->place.host,
								 (uint16_t)subject->place.port,
								 subject->place.path ? subject->place.path
										     : ".",
								 subject->place.text};
		}
	}
	struct fleet_options options = {.observe = true,
					.handle_signals = true,
					.push_agent = is_new,
					.events = {pass_event, run}};
	bool asks = count && dimension_total;
	if (asks && fleet_begin(addresses, count, &options, &fleet, err))
		return -1;
	configurations_finish(run);
	for (size_t i = 0; i < run->count; i++) {
		struct subject *subject = &run->subjects[i];
		if (!subject->is_release)
			beside_begin(run->engine, run->request, subject->environment, &subject->place,
				     subject->configuration, &subject->beside);
	}
	if (asks) {
		if (fleet_connected(fleet, &unreachable))
			err_clear(&unreachable);
		count = 0;
		for (size_t i = 0; i < run->count; i++)
			for (size_t s = 0; s < run->subjects[i].count && !run->subjects[i].is_release;
			     s++, count++) {
				orders[count] = order_of(run, &run->subjects[i], s);
				orders[count].only = without_skipped(arena, &run->subjects[i], dimensions,
								     dimension_total);
			}
		/* Of other failures each server tells its own. */
		int result = fleet_probe(fleet, NULL, orders, &unreachable);
		for (size_t i = 0; i < count; i++) {
			wipe_bytes(orders[i].run_key, sizeof(orders[i].run_key));
			wipe_bytes(orders[i].kept_key, sizeof(orders[i].kept_key));
		}
		if ((result && unreachable.code == ERR_INTERRUPTED) ||
		    wait_beside(run, fleet, &unreachable)) {
			stop_ask();
			*err = unreachable;
			return -1;
		}
	}
	count = 0;
	for (size_t i = 0; i < run->count; i++) {
		struct subject *subject = &run->subjects[i];
		if (subject->beside) {
			beside_wait(subject->beside);
			if (snapshot_file_of_list(beside_facts(subject->beside), &subject->beside_fd, err))
				return -1;
		}
		for (size_t s = 0; s < subject->count && !subject->is_release; s++, count++) {
			struct observed *item = &run->out->items[subject->first + s];
			const struct err *failure = asks ? fleet_failure(fleet, count) : NULL;
			const struct link_results *results =
				asks && !failure ? fleet_results(fleet, count) : NULL;
			item->taken_ms = clock_wall_ms();
			const struct server_state *state = asks ? fleet_state(fleet, count) : NULL;
			if (state)
				note_applied(arena, item, state);
			if (failure)
				item->why = arena_strdup(arena, failure->text);
			/* A slip of the pen must not look like two places that are the same. */
			if (!failure && state && state->hello.missing && !subject->environment) {
				err_set(err, ERR_NOT_FOUND, "%s: there is no such folder", item->label);
				return err_hint(err, "a path without a / at its beginning is below the home "
						     "folder of the user who logs in");
			}
			if (merge_item(run, subject, item, results ? results->probe.fd : -1, err))
				return -1;
		}
	}
	return 0;
}

int observe(struct engine *engine, const struct observe_request *request, struct observation *out,
	    struct err *err)
{
	AUTO(run_close)
	struct run run = {
		.engine = engine, .chosen = *request, .request = request, .out = out, .safe = safe_open()};

	*out = (struct observation){.arena = &engine->arena};
	random_bytes(out->run_key, sizeof(out->run_key));
	if (check_only(request, err) || parse_subjects(&run, err))
		return -1;
	choose_dimensions(&run);
	out->only = run.request->only;
	out->only_count = run.request->only_count;
	if (engine->project) {
		if (configuration_history_keys(engine, run.safe, &run.keys, err))
			return -1;
		run.has_keys = out->kept_keys = true;
	}
	configurations_begin(&run);
	for (size_t i = 0; i < run.count; i++)
		if (run.subjects[i].is_release && observe_release(&run, &run.subjects[i], err))
			return -1;
	return ask_servers(&run, err);
}

int observation_exit(const struct observation *observation)
{
	for (size_t i = 0; i < observation->count; i++)
		if (observation->items[i].why)
			return ERR_NETWORK;
	return ERR_NONE;
}

void observation_close(struct observation *observation)
{
	for (size_t i = 0; i < observation->count; i++)
		close_fd(&observation->items[i].fd);
	wipe_bytes(observation->run_key, sizeof(observation->run_key));
}
