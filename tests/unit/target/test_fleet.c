/* Claims about whole conversations, with the real agent, over a child process and
 * over a real sshd. */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
	return (struct prepare_request){
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_local_place_is_deployed_to),
		cmocka_unit_test(a_place_over_ssh_is_deployed_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
