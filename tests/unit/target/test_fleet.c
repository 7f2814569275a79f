/* Claims about whole conversations, with the real agent, over a child process and
 * over a real sshd. */
#include "helper.h"

#include "fact/snapshot.h"
#include "target/bootstrap.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Memory that is freed is kept aside then, and the maps are terabytes. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

struct world {
	struct scratch scratch;
	struct arena arena;
	struct store *store;
	struct manifest first, second;
	char *tree;
};

static void big_text(struct buf *out, unsigned seed)
{
	for (unsigned i = 0; i < 20000; i++)
		buf_printf(out, "line %u of a larger file, with number %u in it\n", i,
			   (i * 2654435761u) >> (seed % 7));
}

static void world_make(struct world *world)
{
	struct err err = ERR_INIT;
	*world = (struct world){0};
	scratch_make(&world->scratch);
	world->tree = arena_printf(&world->arena, "%s/tree", world->scratch.path);
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(4));
	big_text(&text, 0);
	file_put(world->tree, "public/index.html", SLICE("<h1>one</h1>\n"));
	file_put(world->tree, "lib/large.txt", buf_slice(&text));
	file_put(world->tree, "name with space\n\xff", SLICE("odd"));
	file_put(world->tree, "empty", SLICE(""));
	MUST(store_open(scratch_at(&world->arena, &world->scratch, "store"), &world->store, &err));
	release_import(world->store, world->tree, &world->arena, &world->first);
	buf_puts(&text, "one line more\n");
	file_put(world->tree, "lib/large.txt", buf_slice(&text));
	file_put(world->tree, "public/index.html", SLICE("<h1>two</h1>\n"));
	release_import(world->store, world->tree, &world->arena, &world->second);
}

static void world_remove(struct world *world)
{
	store_close(&world->store);
	arena_free(&world->arena);
	scratch_remove(&world->scratch);
}

static struct prepare_request prepare_of(const struct manifest *release, const char *deployment,
					 const char *expect)
{
	static const struct rendered_file file = {.path = "conf/site.env", .content = {"SITE=1\n", 7}};
	return (struct prepare_request){
		.rendered = &file,
		.rendered_count = 1,
		.deployment = deployment,
		.plan = "0000000000000000000000000000000000000000000000000000000000000000",
		.kind = "deploy",
		.release = release->digest,
		.config = "none",
		.commit = "c0ffee",
		.subject = "a subject with spaces",
		.by = "test@here",
		.commit_time = 1700000000,
		.expect = expect,
		.link_mode = "auto",
	};
}

static const struct lease_request lease = {
	.project = "shop", .environment = "test", .by = "test@here", .deployment = "d1"};

/* Lease, prepare, decide on the first, activate, record: everywhere. */
static void deploy(struct fleet *fleet, struct store *store, const struct manifest *release,
		   const char *deployment)
{
	struct err err = ERR_INIT;
	size_t count = fleet_count(fleet);
	struct prepare_request prepares[8];
	struct activate_request activates[8];
	struct record_request records[8];
	const char *const keys[] = {"deployment", "receipt"};
	const char *const values[] = {deployment, "none"};
	assert_true(count <= 8);
	for (size_t i = 0; i < count; i++) {
		const char *live = fleet_state(fleet, i)->hello.live;
		prepares[i] = prepare_of(release, deployment, live);
		activates[i] = (struct activate_request){.deployment = deployment, .expect = live};
		records[i] = (struct record_request){"verified", keys, values, ARRAY_LEN(keys)};
	}
	if (!link_leased(fleet_link(fleet, 0)))
		MUST(fleet_lease(fleet, NULL, &lease, &err));
	for (size_t i = 0; i < count; i++)
		prepares[i].decision_place = fleet_results(fleet, 0)->lease.place_id;
	MUST(fleet_prepare(fleet, NULL, store, prepares, &err));
	struct decide_request decide = {.deployment = deployment, .decision = "commit"};
	MUST(fleet_decide(fleet, 0, &decide, &err));
	MUST(fleet_activate(fleet, NULL, activates, &err));
	MUST(fleet_record(fleet, NULL, records, &err));
}

static void assert_live(struct world *world, const char *place, const char *index)
{
	const char *current = arena_printf(&world->arena, "%s/current", place);
	assert_string_equal(file_get(&world->arena, current, "public/index.html"), index);
	assert_string_equal(file_get(&world->arena, current, "name with space\n\xff"), "odd");
}

/* The whole path twice, then what the server says about itself. */
static void deploy_twice(struct world *world, const struct place_address *address, const char *place,
			 const char *ssh)
{
	struct err err = ERR_INIT;
	struct fleet_options options = {.ssh = ssh};
	struct fleet *fleet = NULL;
	MUST(fleet_open(address, 1, &options, &fleet, &err));
	assert_string_equal(fleet_state(fleet, 0)->hello.live, "");
	deploy(fleet, world->store, &world->first, "d1");
	assert_live(world, place, "<h1>one</h1>\n");
	const struct prepare_result *prepared = &fleet_results(fleet, 0)->prepare;
	assert_int_equal(prepared->rounds, 1);
	assert_int_equal(prepared->received, 4);
	fleet_close(&fleet);
	assert_null(fleet);

	MUST(fleet_open(address, 1, &options, &fleet, &err));
	const struct server_state *state = fleet_state(fleet, 0);
	assert_int_equal(state->activation_count, 1);
	assert_string_equal(state->activations[0].verdict, "verified");
	assert_string_equal(state->activations[0].subject, "a subject with spaces");
	assert_true(digest_equal(&state->activations[0].release, &world->first.digest));
	MUST(fleet_lease(fleet, NULL, &lease, &err));
	uint64_t before = link_bytes_sent(fleet_link(fleet, 0));
	deploy(fleet, world->store, &world->second, "d2");
	assert_live(world, place, "<h1>two</h1>\n");
	prepared = &fleet_results(fleet, 0)->prepare;
	/* What went over the line is what changed, and little of that. */
	assert_int_equal(prepared->rounds, 1);
	assert_int_equal(prepared->received, 2);
	assert_int_equal(prepared->linked + prepared->copied, 2);
	assert_true(link_bytes_sent(fleet_link(fleet, 0)) - before < 4096);

	MUST(fleet_scan(fleet, NULL, false, &err));
	assert_int_equal(fleet_results(fleet, 0)->scan.edit_count, 0);
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	file_put(arena_printf(&arena, "%s/current", place), "empty", SLICE("edited"));
	MUST(fleet_scan(fleet, NULL, false, &err));
	const struct scan_result *scan = &fleet_results(fleet, 0)->scan;
	assert_int_equal(scan->edit_count, 1);
	assert_string_equal(scan->edits[0].path, "empty");
	MUST(fleet_journal(fleet, NULL, 0, &err));
	assert_true(fleet_results(fleet, 0)->journal.count >= 6);
	MUST(fleet_uses(fleet, NULL, &err));
	MUST(fleet_prune(fleet, NULL, 5, &err));
	fleet_close(&fleet);
}

static void a_local_place_is_deployed_to(void **state)
{
	(void)state;
	struct world world;
	world_make(&world);
	const char *place = scratch_at(&world.arena, &world.scratch, "a place/of mine");
	struct place_address address = local_address(place);
	deploy_twice(&world, &address, place, NULL);
	world_remove(&world);
}

static void a_place_over_ssh_is_deployed_to(void **state)
{
	(void)state;
	struct world world;
	struct sshd sshd;
	world_make(&world);
	sshd_start(&sshd, &world.scratch);
	const char *place = scratch_at(&world.arena, &world.scratch, "it's \"here\"\n$HOME");
	struct place_address address = sshd_address(&sshd, place);
	deploy_twice(&world, &address, place, sshd.ssh);
	sshd_stop(&sshd);
	world_remove(&world);
}

/* Counts what the events name, to see that a scan was answered without asking. */
static void count_scans(void *context, const struct target_event *event)
{
	if (strcmp(event->step, "scan") == 0 && event->kind == TARGET_EVENT_STEP)
		++*(int *)context;
}

static void a_scan_can_travel_with_the_start(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct sshd sshd;
	int scans = 0;
	world_make(&world);
	sshd_start(&sshd, &world.scratch);
	const char *place = scratch_at(&world.arena, &world.scratch, "place");
	struct place_address address = sshd_address(&sshd, place);
	/* First contact: the agent has to be sent, and the early request once more. */
	for (int observe = 1; observe >= 0; observe--) {
		struct fleet_options options = {.ssh = sshd.ssh, .observe = observe, .scan_at_once = true};
		struct fleet *fleet;
		MUST(fleet_open(&address, 1, &options, &fleet, &err));
		if (!observe)
			deploy(fleet, world.store, &world.first, "d1");
		fleet_close(&fleet);
	}
	file_put(arena_printf(&world.arena, "%s/current", place), "empty", SLICE("edited"));
	struct fleet_options options = {
		.ssh = sshd.ssh, .scan_at_once = true, .events = {count_scans, &scans}};
	struct fleet *fleet;
	MUST(fleet_open(&address, 1, &options, &fleet, &err));
	assert_int_equal(scans, 0);
	uint64_t sent = link_bytes_sent(fleet_link(fleet, 0));
	MUST(fleet_scan(fleet, NULL, false, &err));
	assert_int_equal(link_bytes_sent(fleet_link(fleet, 0)), sent);
	assert_int_equal(scans, 1);
	assert_int_equal(fleet_results(fleet, 0)->scan.edit_count, 1);
	assert_string_equal(fleet_results(fleet, 0)->scan.edits[0].path, "empty");
	/* Only once, and never for a deep one. */
	MUST(fleet_scan(fleet, NULL, false, &err));
	assert_true(link_bytes_sent(fleet_link(fleet, 0)) > sent);
	assert_int_equal(fleet_results(fleet, 0)->scan.edit_count, 1);
	fleet_close(&fleet);
	sshd_stop(&sshd);
	world_remove(&world);
}

/* --- what may go wrong ---------------------------------------------------------- */

struct heard {
	char warning[512];
	char output[512];
	struct fleet *fleet;
	const char *interrupt_at; /* a step's name */
	int interrupts;
	size_t prepared;
};

static void hear(void *context, const struct target_event *event)
{
	struct heard *heard = context;
	if (event->kind == TARGET_EVENT_WARNING)
		snprintf(heard->warning, sizeof(heard->warning), "%.*s", SLICE_ARG(event->text));
	if (event->kind == TARGET_EVENT_OUTPUT)
		snprintf(heard->output + strlen(heard->output), sizeof(heard->output) - strlen(heard->output),
			 "%.*s", SLICE_ARG(event->text));
	if (event->kind == TARGET_EVENT_STEP && heard->interrupt_at &&
	    strcmp(event->step, heard->interrupt_at) == 0)
		for (int i = 0; i < heard->interrupts; i++)
			fleet_interrupt(heard->fleet);
}

static void open_local(struct world *world, size_t count, const struct fleet_options *options,
		       struct fleet **fleet)
{
	struct err err = ERR_INIT;
	struct place_address addresses[8];
	assert_true(count <= 8);
	for (size_t i = 0; i < count; i++) {
		addresses[i] =
			local_address(arena_printf(&world->arena, "%s/place%zu", world->scratch.path, i));
		addresses[i].text = arena_printf(&world->arena, "local%zu", i);
	}
	MUST(fleet_open(addresses, count, options, fleet, &err));
}

/* Where it is there already, it is read away, and the early request comes behind it. */
static void an_agent_can_travel_with_the_start(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	static const bool push[] = {true};
	world_make(&world);
	struct place_address address =
		local_address(arena_printf(&world.arena, "%s/place0", world.scratch.path));
	for (int i = 0; i < 3; i++) {
		struct fleet_options options = {.observe = i == 0, .scan_at_once = true, .push_agent = push};
		struct fleet *fleet;
		MUST(fleet_open(&address, 1, &options, &fleet, &err));
		MUST(fleet_scan(fleet, NULL, false, &err));
		assert_int_equal(*fleet_state(fleet, 0)->hello.live != 0, i == 2);
		assert_string_equal(fleet_results(fleet, 0)->scan.live, fleet_state(fleet, 0)->hello.live);
		if (i == 1)
			deploy(fleet, world.store, &world.first, "d1");
		fleet_close(&fleet);
	}
	world_remove(&world);
}

static void many_servers_go_together(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct fleet *fleet;
	world_make(&world);
	struct fleet_options options = {
		.connect_max = 2, .forecast_store = world.store, .forecast_release = &world.first.digest};
	open_local(&world, 5, &options, &fleet);
	deploy(fleet, world.store, &world.first, "d1");
	deploy(fleet, world.store, &world.second, "d2");
	for (size_t i = 0; i < 5; i++) {
		assert_live(&world, arena_printf(&world.arena, "%s/place%zu", world.scratch.path, i),
			    "<h1>two</h1>\n");
		assert_int_equal(fleet_results(fleet, i)->prepare.rounds, 1);
	}
	/* Some of them only. */
	bool which[5] = {false, true, false, true, false};
	MUST(fleet_scan(fleet, which, true, &err));
	assert_true(fleet_results(fleet, 1)->scan.hashed > 0);
	assert_int_equal(fleet_results(fleet, 0)->scan.hashed, 0);
	fleet_close(&fleet);
	world_remove(&world);
}

static void what_the_server_does_not_have_after_all_is_sent_again(void **state)
{
	(void)state;
	struct world world;
	struct fleet *fleet;
	world_make(&world);
	struct fleet_options options = {0};
	open_local(&world, 1, &options, &fleet);
	deploy(fleet, world.store, &world.first, "d1");
	/* Both an unchanged file and the base of a delta were edited by hand. */
	const char *live = arena_printf(&world.arena, "%s/place0/current", world.scratch.path);
	file_put(live, "name with space\n\xff", SLICE("edited"));
	file_put(live, "lib/large.txt", SLICE("edited"));
	deploy(fleet, world.store, &world.second, "d2");
	assert_live(&world, arena_printf(&world.arena, "%s/place0", world.scratch.path), "<h1>two</h1>\n");
	const struct prepare_result *prepared = &fleet_results(fleet, 0)->prepare;
	assert_int_equal(prepared->rounds, 2);
	assert_int_equal(prepared->edits, 2);
	fleet_close(&fleet);
	world_remove(&world);
}

static void a_stranger_asks_before_sending(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct fleet *fleet;
	world_make(&world);
	struct fleet_options options = {0};
	open_local(&world, 1, &options, &fleet);
	deploy(fleet, world.store, &world.first, "d1");
	fleet_close(&fleet);
	/* Another laptop, which has never seen the first release. */
	struct store *other = NULL;
	MUST(store_open(scratch_at(&world.arena, &world.scratch, "other"), &other, &err));
	struct manifest again;
	release_import(other, world.tree, &world.arena, &again);
	assert_true(digest_equal(&again.digest, &world.second.digest));
	open_local(&world, 1, &options, &fleet);
	MUST(fleet_lease(fleet, NULL, &lease, &err));
	uint64_t before = link_bytes_sent(fleet_link(fleet, 0));
	deploy(fleet, other, &world.second, "d2");
	assert_int_equal(fleet_results(fleet, 0)->prepare.rounds, 2);
	assert_int_equal(fleet_results(fleet, 0)->prepare.received, 2);
	assert_true(link_bytes_sent(fleet_link(fleet, 0)) > before);
	/* And it can fetch back what it has never seen. */
	assert_false(store_has_manifest(other, &world.first.digest));
	MUST(fleet_fetch_release(fleet, 0, &world.first.digest, other, &err));
	assert_true(store_has_manifest(other, &world.first.digest));
	assert_int_equal(fleet_results(fleet, 0)->fetch.objects, 2); /* what the second has is there */
	assert_int_equal(fleet_results(fleet, 0)->fetch.manifest.count, world.first.count);
	struct store_verify_result verified;
	MUST(store_verify(other, NULL, NULL, NULL, &verified, &err));
	assert_int_equal(verified.damaged, 0);
	struct digest unknown = {{7}};
	assert_int_equal(fleet_fetch_release(fleet, 0, &unknown, other, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	/* The line is good after a refusal. */
	MUST(fleet_scan(fleet, NULL, false, &err));
	fleet_close(&fleet);
	store_close(&other);
	world_remove(&world);
}

static void an_earlier_activation_is_restored(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct fleet *fleet;
	world_make(&world);
	struct fleet_options options = {0};
	open_local(&world, 1, &options, &fleet);
	deploy(fleet, world.store, &world.first, "d1");
	deploy(fleet, world.store, &world.second, "d2");
	fleet_close(&fleet);
	open_local(&world, 1, &options, &fleet);
	MUST(fleet_lease(fleet, NULL, &lease, &err));
	const struct server_state *server = fleet_state(fleet, 0);
	assert_int_equal(server->activation_count, 2);
	const char *live = server->hello.live;
	struct prepare_request request = prepare_of(&world.first, "d3", live);
	request.kind = "rollback";
	request.from = server->activations[1].name;
	request.decision_place = fleet_results(fleet, 0)->lease.place_id;
	/* Spoiled in place through a hard link's other name: found and healed. */
	file_put(arena_printf(&world.arena, "%s/place0/releases/%s", world.scratch.path, request.from),
		 "public/index.html", SLICE("spoiled"));
	MUST(fleet_prepare(fleet, NULL, world.store, &request, &err));
	struct decide_request decide = {.deployment = "d3", .decision = "commit"};
	MUST(fleet_decide(fleet, 0, &decide, &err));
	struct activate_request activate = {.deployment = "d3", .expect = live};
	MUST(fleet_activate(fleet, NULL, &activate, &err));
	assert_live(&world, arena_printf(&world.arena, "%s/place0", world.scratch.path), "<h1>one</h1>\n");
	fleet_close(&fleet);
	world_remove(&world);
}

/* How often a text stands in what this process may write to; the text itself is where
 * nobody writes. */
#ifndef SANITIZED
static size_t count_in_memory(const char *text)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	size_t count = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		uintptr_t from, to;
		char rights[8];
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || strncmp(rights, "rw", 2) != 0)
			continue;
		const char *at = (const char *)from;
		while ((at = memmem(at, to - (uintptr_t)at, text, strlen(text)))) {
			count++;
			at++;
		}
	}
	fclose(maps);
	return count;
}
#endif

static void configuration_alone_is_activated(void **state)
{
	(void)state;
	static const char key[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct world world;
	struct err err = ERR_INIT;
	struct fleet *fleet;
	struct buf large = BUF_INIT(MIB(1));
#ifndef SANITIZED
	mallopt(M_PERTURB, 0); /* freeing must not wipe what we forgot to */
#endif
	world_make(&world);
	struct fleet_options options = {0};
	open_local(&world, 2, &options, &fleet);
	deploy(fleet, world.store, &world.first, "d1");
	fleet_close(&fleet);
	/* Nobody needs the release itself for this. */
	open_local(&world, 2, &options, &fleet);
	MUST(fleet_lease(fleet, NULL, &lease, &err));
	big_text(&large, 1);
	for (size_t i = 0; i < 2; i++) {
		const char *live = fleet_state(fleet, i)->hello.live;
		const struct rendered_file files[] = {
			{.path = ".env", .mode = 0600, .content = SLICE("A=1\nB='x y'\n")},
			{.path = "conf/large.bin", .content = buf_slice(&large)},
			{.path = "public/index.html",
			 .content = i ? SLICE("of the second") : SLICE("of the first")},
		};
		struct prepare_request request = prepare_of(&world.first, "d2", live);
		request.kind = "config";
		request.from = live;
		request.rendered = files;
		request.rendered_count = ARRAY_LEN(files);
		request.config_key = key;
		request.trust_signatures = true;
		request.decision_place = fleet_results(fleet, 0)->lease.place_id;
		struct prepare_request both[2] = {request, request};
		bool which[2] = {i == 0, i == 1};
		MUST(fleet_prepare(fleet, which, NULL, both, &err));
		assert_int_equal(fleet_results(fleet, i)->prepare.rendered, 3);
		assert_int_equal(fleet_results(fleet, i)->prepare.rounds, 0);
		assert_true(fleet_results(fleet, i)->prepare.sent_bytes < large.len + 4096);
	}
	struct decide_request decide = {.deployment = "d2", .decision = "commit"};
	MUST(fleet_decide(fleet, 0, &decide, &err));
	struct activate_request activates[2];
	for (size_t i = 0; i < 2; i++)
		activates[i] = (struct activate_request){.deployment = "d2",
							 .expect = fleet_state(fleet, i)->hello.live};
	MUST(fleet_activate(fleet, NULL, activates, &err));
	assert_live(&world, arena_printf(&world.arena, "%s/place0", world.scratch.path), "of the first");
	assert_live(&world, arena_printf(&world.arena, "%s/place1", world.scratch.path), "of the second");
	/* An edit by hand is named, its content is not. */
	file_put(arena_printf(&world.arena, "%s/place1/current", world.scratch.path), ".env", SLICE("A=2"));
	MUST(fleet_scan(fleet, NULL, false, &err));
	assert_int_equal(fleet_results(fleet, 0)->scan.edit_count, 0);
	assert_int_equal(fleet_results(fleet, 1)->scan.edit_count, 1);
	const struct server_edit *edit = &fleet_results(fleet, 1)->scan.edits[0];
	assert_string_equal(edit->path, ".env");
	assert_true(edit->rendered);
	assert_string_equal(edit->seen, "");
	assert_string_equal(edit->expected, "");
	fleet_close(&fleet);
	/* The next one who connects has the key; one that is no key is refused. */
	open_local(&world, 2, &options, &fleet);
	assert_string_equal(fleet_state(fleet, 1)->hello.config_key, key);
	const struct check_request checks[2] = {{.groups = {(const char *const[]){"no-such-group"}, 1}}, {0}};
	MUST(fleet_check(fleet, NULL, checks, &err));
	assert_int_equal(fleet_results(fleet, 0)->check.bad, fleet_results(fleet, 1)->check.bad + 1);
#ifndef SANITIZED
	assert_true(count_in_memory(key + 8) > 0);
	fleet_close(&fleet);
	assert_int_equal(count_in_memory(key + 8), 0);
#else
	fleet_close(&fleet);
#endif
	buf_free(&large);
	world_remove(&world);
}

static void commands_run_on_the_server(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct heard heard = {0};
	world_make(&world);
	struct fleet_options options = {.events = {hear, &heard}};
	open_local(&world, 1, &options, &heard.fleet);
	deploy(heard.fleet, world.store, &world.first, "d1");
	struct manifest *second = &world.second;
	struct prepare_request request = prepare_of(second, "d2", fleet_state(heard.fleet, 0)->hello.live);
	request.decision_place = fleet_results(heard.fleet, 0)->lease.place_id;
	MUST(fleet_prepare(heard.fleet, NULL, world.store, &request, &err));
	const char *const env[] = {"GREETING=hello there"};
	const struct secret_variable who = {"WHO", SLICE("it's\nme")};
	struct run_request run = {
		.deployment = "d2",
		.point = "after_prepare",
		.command = ". /dev/fd/3; echo \"$GREETING $WHO\"; cat public/index.html; exit 3",
		.dir = "prepared",
		.env = {env, 1},
		.secret_env = &who,
		.secret_env_count = 1,
		.on_retry = "run",
		.timeout_ms = 20000};
	MUST(fleet_run(heard.fleet, NULL, &run, &err));
	assert_int_equal(fleet_results(heard.fleet, 0)->run.status, 3);
	assert_string_equal(heard.output, "hello there it's\nme\n<h1>two</h1>\n");
	MUST(fleet_abandon(heard.fleet, NULL, "d2", &err));
	assert_live(&world, arena_printf(&world.arena, "%s/place0", world.scratch.path), "<h1>one</h1>\n");
	fleet_close(&heard.fleet);
	world_remove(&world);
}

/* A web server of the application's: one answer, then the next connection. */
struct site {
	int listener;
	uint16_t port;
	const char *answer;
	int answers;
};

static void *serve_site(void *context)
{
	struct site *site = context;
	for (int i = 0; i < site->answers; i++) {
		AUTO(close_fd) int fd = accept(site->listener, NULL, NULL);
		char request[2048] = "";
		size_t len = 0;
		while (len < sizeof(request) - 1 && !strstr(request, "\r\n\r\n")) {
			ssize_t got = read(fd, request + len, sizeof(request) - 1 - len);
			if (got <= 0)
				break;
			len += (size_t)got;
		}
		/* The site's own name, not the address that was connected to. */
		const char *answer =
			strstr(request, "Host: shop.example:") ? site->answer : "HTTP/1.1 400 No\r\n\r\n";
		(void)!write(fd, answer, strlen(answer));
	}
	return NULL;
}

static void a_server_is_asked_for_its_health_itself(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct fleet *fleet;
	struct site site = {.answer = "HTTP/1.1 200 OK\r\nX-Release: 42\r\n\r\nall is well", .answers = 6};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	site.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(site.listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(site.listener, 8), 0);
	assert_int_equal(getsockname(site.listener, (struct sockaddr *)&address, &len), 0);
	site.port = ntohs(address.sin_port);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, serve_site, &site), 0);

	world_make(&world);
	struct fleet_options options = {0};
	open_local(&world, 2, &options, &fleet);
	MUST(fleet_lease(fleet, NULL, &lease, &err));
	const char *url = arena_printf(&world.arena, "http://shop.example:%u/up", site.port);
	struct http_request request = {.url = url,
				       .body_contains = "well",
				       .timeout_ms = 20000,
				       .header_name = "x-release",
				       .header_value = "42"};
	MUST(fleet_check_http(fleet, NULL, &request, &err));
	for (size_t i = 0; i < 2; i++) {
		assert_true(fleet_results(fleet, i)->http.passed);
		assert_int_equal(fleet_results(fleet, i)->http.status, 200);
	}
	request.body_contains = "ill";
	MUST(fleet_check_http(fleet, NULL, &request, &err));
	assert_false(fleet_results(fleet, 1)->http.passed);
	assert_non_null(strstr(fleet_results(fleet, 1)->http.why, "does not contain \"ill\""));
	/* The address and port may be others than the site's. */
	request.url = "http://shop.example:81/up";
	request.body_contains = NULL;
	request.connect_host = "localhost";
	request.connect_port = site.port;
	MUST(fleet_check_http(fleet, NULL, &request, &err));
	assert_true(fleet_results(fleet, 0)->http.passed);
	pthread_join(thread, NULL);
	close(site.listener);
	/* Nobody listens any more: that is an answer, and the line is good. */
	MUST(fleet_check_http(fleet, NULL, &request, &err));
	assert_false(fleet_results(fleet, 0)->http.passed);
	assert_int_equal(fleet_results(fleet, 0)->http.status, 0);
	request.url = "gopher://x";
	assert_int_equal(fleet_check_http(fleet, NULL, &request, &err), -1);
	assert_int_equal(err.code, ERR_USER);
	MUST(fleet_scan(fleet, NULL, false, &err));
	fleet_close(&fleet);
	world_remove(&world);
}

/* Each fault point of the controller's, failed once: an error, never a hang, and
 * what is live is what was. */
static void a_line_that_breaks_anywhere_leaves_what_was_live(void **state)
{
	(void)state;
	static const char *const points[] = {
		"target.connect.before", "target.connect.after", "target.lease.before", "target.lease.after",
		"target.prepare.before", "target.prepare.send",	 "target.prepare.send", "target.offer.write",
		"target.prepare.after",	 "target.decide.before",
	};
	struct world world;
	struct fleet *fleet;
	world_make(&world);
	struct fleet_options options = {0};
	open_local(&world, 1, &options, &fleet);
	deploy(fleet, world.store, &world.first, "d1");
	fleet_close(&fleet);
	const char *place = arena_printf(&world.arena, "%s/place0", world.scratch.path);
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		struct err err = ERR_INIT;
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			/* A process of its own: fault points are read from its environment once. */
			setenv("LOCKSTEP_FAULT",
			       arena_printf(&world.arena, "%s=fail:%d", points[i], i == 6 ? 2 : 1), 1);
			execl("/proc/self/exe", "test_fleet", "deploy", place,
			      arena_printf(&world.arena, "%s/store", world.scratch.path), (char *)NULL);
			_exit(127);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) != 9)
			fail_msg("%s: status %d", points[i], WEXITSTATUS(status));
		assert_live(&world, place, "<h1>one</h1>\n");
		/* The next one clears up and goes through. */
		open_local(&world, 1, &options, &fleet);
		struct lease_request again = lease;
		again.wait_ms = 20000;
		MUST(fleet_lease(fleet, NULL, &again, &err));
		if (fleet_state(fleet, 0)->pending)
			MUST(fleet_abandon(fleet, NULL, fleet_state(fleet, 0)->pending->deployment, &err));
		fleet_close(&fleet);
	}
	world_remove(&world);
}

/* What the child of the test above does: the second release, as far as it gets.
 * Returns 9 when a step failed with a message. */
static int deploy_as_child(const char *place, const char *store_path)
{
	struct err err = ERR_INIT;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct store *store = NULL;
	struct fleet *fleet = NULL;
	struct place_address address = local_address(place);
	struct fleet_options options = {0};
	if (store_open(store_path, &store, &err) < 0)
		return 1;
	int result = fleet_open(&address, 1, &options, &fleet, &err);
	if (result == 0)
		result = fleet_lease(fleet, NULL, &lease, &err);
	if (result == 0) {
		/* The releases are two; the one that is not live is deployed. */
		const struct server_state *server = fleet_state(fleet, 0);
		struct manifest live, manifest;
		DIR *dir = opendir(arena_printf(&arena, "%s/manifests", store_path));
		struct dirent *entry;
		struct prepare_request request = prepare_of(&manifest, "d2", server->hello.live);
		live.digest = server->activations[0].release;
		while (dir && (entry = readdir(dir)))
			if (digest_from_hex(slice_of(entry->d_name), &manifest.digest) &&
			    !digest_equal(&manifest.digest, &live.digest))
				request.release = manifest.digest;
		closedir(dir);
		request.decision_place = fleet_results(fleet, 0)->lease.place_id;
		struct decide_request decide = {.deployment = "d2", .decision = "commit"};
		result = fleet_prepare(fleet, NULL, store, &request, &err);
		if (result == 0)
			result = fleet_decide(fleet, 0, &decide, &err);
	}
	fleet_close(&fleet);
	store_close(&store);
	return result < 0 && err.text[0] ? 9 : 0;
}

static void a_held_place_says_who_holds_it(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct fleet *first, *second;
	world_make(&world);
	struct fleet_options options = {0};
	open_local(&world, 1, &options, &first);
	open_local(&world, 1, &options, &second);
	MUST(fleet_lease(first, NULL, &lease, &err));
	struct lease_request other = lease;
	other.by = "somebody@else";
	assert_int_equal(fleet_lease(second, NULL, &other, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_non_null(strstr(err.text, "test@here"));
	assert_non_null(strstr(err.text, "local0 (lease)"));
	assert_string_equal(fleet_failure(second, 0)->text, strstr(err.text, fleet_failure(second, 0)->text));
	fleet_close(&first);
	other.wait_ms = 20000;
	err_clear(&err);
	MUST(fleet_lease(second, NULL, &other, &err));
	assert_null(fleet_failure(second, 0));
	fleet_close(&second);
	world_remove(&world);
}

/* What a deployment of one server sends without waiting, and its refusals. */
static void requests_go_out_together(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct fleet *fleet, *other;
	const char *const keys[] = {"deployment"};
	const char *const values[] = {"d2"};
	struct record_request record = {"live", keys, values, ARRAY_LEN(keys), 3};
	world_make(&world);
	struct fleet_options options = {0};
	open_local(&world, 1, &options, &fleet);
	deploy(fleet, world.store, &world.first, "d1");
	/* Held by somebody else: no lease, nothing prepared, and the line is good. */
	open_local(&world, 1, &options, &other);
	const struct server_hello *hello = &fleet_state(other, 0)->hello;
	struct prepare_request prepare = prepare_of(&world.second, "d2", arena_strdup(&world.arena, hello->live));
	prepare.decision_place = arena_strdup(&world.arena, hello->place_id);
	assert_int_equal(fleet_lease_prepare(other, NULL, &lease, world.store, &prepare, NULL, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_non_null(strstr(err.text, "test@here"));
	assert_non_null(strstr(err.text, "(lease)"));
	assert_false(link_leased(fleet_link(other, 0)));
	err_clear(&err);
	MUST(fleet_scan(other, NULL, false, &err));
	/* Another lease since the greeting: granted, but what was guessed is refused. */
	fleet_close(&fleet);
	open_local(&world, 1, &options, &fleet);
	MUST(fleet_lease(fleet, NULL, &lease, &err));
	fleet_close(&fleet);
	assert_int_equal(fleet_lease_prepare(other, NULL, &lease, world.store, &prepare, NULL, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_true(link_leased(fleet_link(other, 0)));
	assert_int_equal(fleet_results(other, 0)->lease.epoch, 3);
	fleet_close(&other);
	/* As it should be. */
	err_clear(&err);
	open_local(&world, 1, &options, &fleet);
	MUST(fleet_lease_prepare(fleet, NULL, &lease, world.store, &prepare, NULL, &err));
	assert_true(fleet_results(fleet, 0)->prepare.linked > 0);
	struct activate_request activate = {.deployment = "d2", .expect = "000009-000000000000", .decide = true};
	assert_int_equal(fleet_activate_record(fleet, NULL, &activate, &record, false, &err), -1);
	assert_non_null(strstr(err.text, "the plan expected"));
	assert_int_equal(link_status(fleet_link(fleet, 0)), LINK_IDLE);
	activate.expect = prepare.expect;
	err_clear(&err);
	MUST(fleet_activate_record(fleet, NULL, &activate, &record, true, &err));
	assert_int_equal(link_status(fleet_link(fleet, 0)), LINK_CLOSED);
	assert_string_equal(fleet_results(fleet, 0)->activate.name, fleet_results(fleet, 0)->prepare.name);
	fleet_close(&fleet);
	assert_live(&world, arena_printf(&world.arena, "%s/place0", world.scratch.path), "<h1>two</h1>\n");
	open_local(&world, 1, &options, &fleet);
	assert_null(fleet_state(fleet, 0)->pending);
	assert_string_equal(fleet_state(fleet, 0)->activations[0].verdict, "live");
	fleet_close(&fleet);
	world_remove(&world);
}

/* Greeted, but what was looked for at the start may still be under way. */
static void greet_local(struct world *world, struct fleet **fleet)
{
	struct err err = ERR_INIT;
	struct fleet_options options = {.scan_at_once = true};
	struct place_address address =
		local_address(arena_printf(&world->arena, "%s/place0", world->scratch.path));
	MUST(fleet_begin(&address, 1, &options, fleet, &err));
	assert_true(fleet_greeted(*fleet));
}

static void a_single_server_goes_on_by_itself(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct fleet *fleet;
	const char *const keys[] = {"deployment"};
	const char *values[] = {"d1"};
	struct record_request record = {"live", keys, values, ARRAY_LEN(keys), 3};
	struct carry_request carry = {{.deployment = "d1", .expect = "", .decide = true}, &record};
	world_make(&world);
	const char *place = arena_printf(&world.arena, "%s/place0", world.scratch.path);
	/* All of it behind the greeting, to a place nobody knows. */
	greet_local(&world, &fleet);
	struct prepare_request prepare = prepare_of(&world.first, "d1", "");
	MUST(fleet_lease_prepare(fleet, NULL, &lease, world.store, &prepare, &carry, &err));
	assert_int_equal(link_status(fleet_link(fleet, 0)), LINK_CLOSED);
	assert_true(link_carried(fleet_link(fleet, 0)));
	assert_string_equal(fleet_results(fleet, 0)->activate.name, fleet_results(fleet, 0)->prepare.name);
	const char *first = arena_strdup(&world.arena, fleet_results(fleet, 0)->activate.name);
	fleet_close(&fleet);
	assert_live(&world, place, "<h1>one</h1>\n");
	/* Something lacks: it is sent, and only then goes on. What the scan found is there. */
	file_put(arena_printf(&world.arena, "%s/current", place), "name with space\n\xff", SLICE("edited"));
	greet_local(&world, &fleet);
	prepare = prepare_of(&world.second, "d2", first);
	values[0] = "d2";
	carry.activate = (struct activate_request){.deployment = "d2", .expect = first, .decide = true};
	MUST(fleet_lease_prepare(fleet, NULL, &lease, world.store, &prepare, &carry, &err));
	assert_int_equal(fleet_results(fleet, 0)->prepare.rounds, 2);
	assert_int_equal(fleet_results(fleet, 0)->scan.edit_count, 1);
	assert_string_equal(fleet_results(fleet, 0)->scan.live, first);
	const char *second = arena_strdup(&world.arena, fleet_results(fleet, 0)->activate.name);
	fleet_close(&fleet);
	assert_live(&world, place, "<h1>two</h1>\n");
	/* Without a receipt the line stays; what was switched is said. */
	greet_local(&world, &fleet);
	prepare = prepare_of(&world.first, "d3", second);
	carry = (struct carry_request){{.deployment = "d3", .expect = second, .decide = true}, NULL};
	MUST(fleet_lease_prepare(fleet, NULL, &lease, world.store, &prepare, &carry, &err));
	assert_int_equal(link_status(fleet_link(fleet, 0)), LINK_IDLE);
	values[0] = "d3";
	MUST(fleet_record(fleet, NULL, &record, &err));
	const char *third = arena_strdup(&world.arena, fleet_results(fleet, 0)->activate.name);
	fleet_close(&fleet);
	assert_live(&world, place, "<h1>one</h1>\n");
	/* A switch that is refused: prepared and decided, but not live, and not recorded. */
	greet_local(&world, &fleet);
	prepare = prepare_of(&world.second, "d4", third);
	values[0] = "d4";
	carry = (struct carry_request){{.deployment = "d4", .expect = second, .decide = true}, &record};
	assert_int_equal(fleet_lease_prepare(fleet, NULL, &lease, world.store, &prepare, &carry, &err), -1);
	assert_non_null(strstr(err.text, "the plan expected"));
	assert_non_null(strstr(err.text, "(activate)"));
	assert_true(link_carried(fleet_link(fleet, 0)));
	fleet_close(&fleet);
	assert_live(&world, place, "<h1>one</h1>\n");
	/* A preparation that is refused, since that one is unfinished: nothing follows. */
	greet_local(&world, &fleet);
	assert_string_equal(fleet_state(fleet, 0)->pending->deployment, "d4");
	assert_string_equal(fleet_state(fleet, 0)->pending->decided, "commit");
	err_clear(&err);
	prepare = prepare_of(&world.second, "d5", third);
	carry.activate = (struct activate_request){.deployment = "d5", .expect = third, .decide = true};
	assert_int_equal(fleet_lease_prepare(fleet, NULL, &lease, world.store, &prepare, &carry, &err), -1);
	assert_non_null(strstr(err.text, "d4 is not finished"));
	assert_false(link_carried(fleet_link(fleet, 0)));
	assert_int_equal(link_status(fleet_link(fleet, 0)), LINK_IDLE);
	fleet_close(&fleet);
	world_remove(&world);
}

static void an_agent_that_dies_is_a_lost_line(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct fleet *fleet;
	world_make(&world);
	struct fleet_options options = {0};
	setenv("LOCKSTEP_FAULT_AGENT", "agent.lease.after_epoch=kill", 1);
	open_local(&world, 2, &options, &fleet);
	unsetenv("LOCKSTEP_FAULT_AGENT");
	assert_int_equal(fleet_lease(fleet, NULL, &lease, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_non_null(strstr(err.text, "2 of 2 servers failed (lease)"));
	assert_non_null(strstr(err.text, "local1: the agent ended unexpectedly"));
	assert_int_equal(link_status(fleet_link(fleet, 0)), LINK_LOST);
	/* Every step fails at once, until the line is there again. */
	assert_int_equal(fleet_scan(fleet, NULL, false, &err), -1);
	bool which[] = {true, false};
	MUST(fleet_reopen(fleet, which, &err));
	MUST(fleet_lease(fleet, which, &lease, &err));
	assert_non_null(fleet_failure(fleet, 1));
	fleet_close(&fleet);
	world_remove(&world);
}

static void silence_is_a_lost_line(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct fleet *fleet;
	world_make(&world);
	struct fleet_options options = {.silence_ms = 300};
	setenv("LOCKSTEP_FAULT_AGENT", "agent.lease.before_epoch=hang", 1);
	open_local(&world, 1, &options, &fleet);
	unsetenv("LOCKSTEP_FAULT_AGENT");
	assert_int_equal(fleet_lease(fleet, NULL, &lease, &err), -1);
	assert_int_equal(err.code, ERR_NETWORK);
	assert_non_null(strstr(err.text, "no sign of life"));
	fleet_close(&fleet);
	world_remove(&world);
}

static void an_interrupt_gives_up_transfers_but_not_switches(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct heard heard = {.interrupt_at = "prepare", .interrupts = 1};
	world_make(&world);
	struct fleet_options options = {.events = {hear, &heard}};
	open_local(&world, 1, &options, &heard.fleet);
	struct fleet *fleet = heard.fleet;
	MUST(fleet_lease(fleet, NULL, &lease, &err));
	struct prepare_request request = prepare_of(&world.first, "d1", "");
	request.decision_place = fleet_results(fleet, 0)->lease.place_id;
	assert_int_equal(fleet_prepare(fleet, NULL, world.store, &request, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_int_equal(link_status(fleet_link(fleet, 0)), LINK_LOST);
	/* Going back works: the line is opened again, and what was begun is dropped. */
	MUST(fleet_reopen(fleet, NULL, &err));
	struct lease_request again = lease;
	again.wait_ms = 20000;
	MUST(fleet_lease(fleet, NULL, &again, &err));
	if (fleet_state(fleet, 0)->pending)
		MUST(fleet_abandon(fleet, NULL, "d1", &err));
	heard.interrupt_at = NULL;
	deploy(fleet, world.store, &world.first, "d2");
	/* A switch is waited for: its outcome is known. */
	request = prepare_of(&world.second, "d3", fleet_state(fleet, 0)->hello.live);
	request.decision_place = fleet_results(fleet, 0)->lease.place_id;
	MUST(fleet_prepare(fleet, NULL, world.store, &request, &err));
	struct decide_request decide = {.deployment = "d3", .decision = "commit"};
	MUST(fleet_decide(fleet, 0, &decide, &err));
	/* A fleet counts its interrupts for life: a new one for the next claim. */
	fleet_close(&fleet);
	open_local(&world, 1, &options, &fleet);
	heard.fleet = fleet;
	MUST(fleet_lease(fleet, NULL, &again, &err));
	heard.interrupt_at = "activate";
	struct activate_request activate = {.deployment = "d3", .expect = fleet_state(fleet, 0)->hello.live};
	assert_int_equal(fleet_activate(fleet, NULL, &activate, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_null(fleet_failure(fleet, 0));
	assert_live(&world, arena_printf(&world.arena, "%s/place0", world.scratch.path), "<h1>two</h1>\n");
	/* The second one leaves at once, and so does every step after it. */
	heard.interrupt_at = "run";
	struct run_request run = {.deployment = "d3",
				  .point = "after_activate",
				  .command = "sleep 60",
				  .dir = "live",
				  .on_retry = "run",
				  .timeout_ms = 60000};
	assert_int_equal(fleet_run(fleet, NULL, &run, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_int_equal(fleet_scan(fleet, NULL, false, &err), -1);
	assert_int_equal(err.code, ERR_INTERRUPTED);
	fleet_close(&fleet);
	world_remove(&world);
}

static void observing_needs_nothing_and_changes_nothing(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct heard heard = {0};
	struct sshd sshd;
	world_make(&world);
	sshd_start(&sshd, &world.scratch);
	const char *place = scratch_at(&world.arena, &world.scratch, "place");
	struct place_address address = sshd_address(&sshd, place);
	struct fleet_options options = {.observe = true, .ssh = sshd.ssh, .events = {hear, &heard}};
	struct fleet *fleet;
	MUST(fleet_open(&address, 1, &options, &fleet, &err));
	assert_true(fleet_state(fleet, 0)->hello.fresh);
	MUST(fleet_journal(fleet, NULL, 0, &err));
	assert_int_equal(fleet_results(fleet, 0)->journal.count, 0);
	struct check_request check = {.link_mode = "auto"};
	MUST(fleet_check(fleet, NULL, &check, &err));
	assert_true(fleet_results(fleet, 0)->check.count > 0);
	/* What would change something is not even sent by an agent's leave. */
	assert_int_equal(fleet_lease(fleet, NULL, &lease, &err), -1);
	fleet_close(&fleet);
	AUTO(close_fd) int fd = -1;
	assert_int_equal(dir_open_at(AT_FDCWD, place, &fd, &err), -1);
	sshd_stop(&sshd);
	world_remove(&world);
}

/* The words of ssh's errors come from a real ssh here. */
static uint64_t count_facts(int fd, const char *key, char *value, size_t size)
{
	struct fact_reader *reader = fact_reader_of_fd(fd);
	struct err err = ERR_INIT;
	struct fact fact;
	uint64_t count = 0;
	int got;
	while ((got = fact_next(reader, &fact, &err)) > 0) {
		count++;
		if (slice_is(fact.key, key))
			snprintf(value, size, "%.*s", SLICE_ARG(fact.value));
	}
	assert_int_equal(got, 0);
	fact_reader_free(&reader);
	return count;
}

static void what_servers_are_like_comes_as_snapshots(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct fleet *fleet;
	static const char *const only[] = {"os"}, *const none[] = {"nosuch"};
	static const char *paths[PROBE_ORDER_LISTED_MAX + 1];
	struct probe_order orders[2] = {{.only = {only, 1}}, {.only = {none, 1}}};
	char machine[64] = "";
	world_make(&world);
	struct fleet_options options = {.observe = true};
	open_local(&world, 2, &options, &fleet);
	assert_int_equal(fleet_results(fleet, 0)->probe.fd, -1);
	MUST(fleet_probe(fleet, NULL, orders, &err));
	const struct probe_result *first = &fleet_results(fleet, 0)->probe;
	assert_true(first->facts > 10);
	assert_int_equal(count_facts(first->fd, "os/arch/machine", machine, sizeof(machine)), first->facts);
	assert_string_equal(machine, fleet_state(fleet, 0)->hello.arch);
	/* One machine, one clock. */
	assert_true(first->clock_offset_ms > -2000 && first->clock_offset_ms < 2000);
	assert_true(first->duration_ms >= 0);
	/* A dimension nobody asked for is not mentioned. */
	assert_int_equal(fleet_results(fleet, 1)->probe.facts, 0);
	assert_int_equal(count_facts(fleet_results(fleet, 1)->probe.fd, "", machine, sizeof(machine)), 0);
	/* A refusal leaves the line good, and the last answer is not shown again. */
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		paths[i] = "x";
	orders[0].paths = (struct text_list){paths, ARRAY_LEN(paths)};
	assert_int_equal(fleet_probe(fleet, NULL, orders, &err), -1);
	assert_int_equal(fleet_failure(fleet, 0)->code, ERR_USER);
	assert_null(fleet_failure(fleet, 1));
	assert_int_equal(first->fd, -1);
	orders[0].paths.count--;
	MUST(fleet_probe(fleet, NULL, orders, &err));
	assert_true(first->facts > 10);
	fleet_close(&fleet);
	world_remove(&world);
}

static void ssh_errors_say_what_to_do(void **state)
{
	(void)state;
	struct world world;
	struct sshd sshd;
	world_make(&world);
	sshd_start(&sshd, &world.scratch);
	struct place_address address = sshd_address(&sshd, "/nowhere");
	struct fleet_options options = {.ssh = sshd.ssh};
	const char *known = file_get(&world.arena, world.scratch.path, "known_hosts");
	const char *user_key = file_get(&world.arena, world.scratch.path, "user_key.pub");
	const struct {
		const char *name, *known_hosts, *authorized, *host;
		uint16_t port;
		enum err_code code;
		const char *text, *hint;
	} rows[] = {
		{"unknown host", "", user_key, "127.0.0.1", sshd.port, ERR_DENIED, "is not known here",
		 "ssh-keyscan -p"},
		{"changed host", arena_printf(&world.arena, "[127.0.0.1]:%u %s", sshd.port, user_key),
		 user_key, "127.0.0.1", sshd.port, ERR_DENIED, "SHA256:", "ssh-keygen -R"},
		{"no key", known, "", "127.0.0.1", sshd.port, ERR_DENIED, "accepts none of your keys",
		 "authorized_keys"},
		{"nothing listens", known, user_key, "127.0.0.1", 1, ERR_NETWORK, "nothing listens", "sshd"},
		{"no such host", known, user_key, "no.such.host.invalid", 22, ERR_NETWORK,
		 "there is no host called", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct fleet *fleet;
		file_put(world.scratch.path, "known_hosts", slice_of(rows[i].known_hosts));
		file_put(world.scratch.path, "authorized_keys", slice_of(rows[i].authorized));
		address.host = rows[i].host;
		address.port = rows[i].port;
		assert_int_equal(fleet_open(&address, 1, &options, &fleet, &err), -1);
		if (err.code != rows[i].code || !strstr(err.text, rows[i].text) ||
		    !strstr(err.hint, rows[i].hint))
			fail_msg("%s: code %d, %s (%s)", rows[i].name, err.code, err.text, err.hint);
		fleet_close(&fleet);
	}
	struct err err = ERR_INIT;
	struct fleet *fleet;
	options.ssh = "no-such-ssh-program";
	assert_int_equal(fleet_open(&address, 1, &options, &fleet, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.hint, "openssh-client"));
	fleet_close(&fleet);
	sshd_stop(&sshd);
	world_remove(&world);
}

static void banners_and_tampering_are_survived(void **state)
{
	(void)state;
	struct world world;
	struct err err = ERR_INIT;
	struct heard heard = {0};
	world_make(&world);
	struct fleet_options options = {.events = {hear, &heard}};
	struct fleet *fleet;
	open_local(&world, 1, &options, &fleet);
	const char *agents = arena_printf(&world.arena, "%s/place0/.lockstep", world.scratch.path);
	const struct agent_image *images;
	char hex[DIGEST_HEX_LEN + 1];
	size_t count = images_embedded(&images), found = 0;
	fleet_close(&fleet);
	for (size_t i = 0; i < count; i++) {
		struct digest digest;
		digest_of(images[i].bytes, &digest);
		assert_true(digest_equal(&digest, &images[i].digest));
		digest_to_hex(&images[i].digest, hex);
		const char *path = arena_printf(&world.arena, "%s/agent-%s", agents, hex);
		FILE *file = access(path, F_OK) == 0 ? fopen(path, "a") : NULL;
		if (!file)
			continue;
		found++;
		fputs("x", file);
		fclose(file);
	}
	assert_int_equal(found, 1);
	assert_string_equal(heard.warning, "");
	open_local(&world, 1, &options, &fleet);
	assert_non_null(strstr(heard.warning, "it was replaced"));
	MUST(fleet_lease(fleet, NULL, &lease, &err));
	fleet_close(&fleet);
	world_remove(&world);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "deploy") == 0)
		return deploy_as_child(argv[2], argv[3]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_local_place_is_deployed_to),
		cmocka_unit_test(a_place_over_ssh_is_deployed_to),
		cmocka_unit_test(a_scan_can_travel_with_the_start),
		cmocka_unit_test(many_servers_go_together),
		cmocka_unit_test(what_the_server_does_not_have_after_all_is_sent_again),
		cmocka_unit_test(a_stranger_asks_before_sending),
		cmocka_unit_test(an_earlier_activation_is_restored),
		cmocka_unit_test(configuration_alone_is_activated),
		cmocka_unit_test(commands_run_on_the_server),
		cmocka_unit_test(a_server_is_asked_for_its_health_itself),
		cmocka_unit_test(a_line_that_breaks_anywhere_leaves_what_was_live),
		cmocka_unit_test(a_held_place_says_who_holds_it),
		cmocka_unit_test(requests_go_out_together),
		cmocka_unit_test(a_single_server_goes_on_by_itself),
		cmocka_unit_test(an_agent_can_travel_with_the_start),
		cmocka_unit_test(an_agent_that_dies_is_a_lost_line),
		cmocka_unit_test(silence_is_a_lost_line),
		cmocka_unit_test(an_interrupt_gives_up_transfers_but_not_switches),
		cmocka_unit_test(observing_needs_nothing_and_changes_nothing),
		cmocka_unit_test(what_servers_are_like_comes_as_snapshots),
		cmocka_unit_test(ssh_errors_say_what_to_do),
		cmocka_unit_test(banners_and_tampering_are_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
