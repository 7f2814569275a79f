/* Runs, snapshots, findings, time lines and rules kept here. */
#include "fixture.h"

#include "fact/snapshot.h"
#include "model/deployment.h"
#include "model/parity_allow.h"
#include "model/parity_finding.h"
#include "model/parity_run.h"
#include "model/parity_snapshot.h"
#include "model/parity_timeline.h"

#include <sys/mman.h>
#include <time.h>

enum { DAY_MS = 24 * 60 * 60 * 1000 };

struct parity_fixture {
	struct temp temp;
	struct arena arena;
	struct err err;
	struct home home;
};

static int set_up_home(void **state)
{
	struct parity_fixture *f = mem_alloc(sizeof(*f));
	f->temp = temp_make();
	f->home = HOME_INIT;
	*state = f;
	return home_open(&f->arena, arena_printf(&f->arena, "%s/home", f->temp.path), &f->home, &f->err);
}

static int tear_down_home(void **state)
{
	struct parity_fixture *f = *state;
	home_close(&f->home);
	temp_remove(&f->temp);
	arena_free(&f->arena);
	free(f);
	return 0;
}

#define HOME_CASE(function) cmocka_unit_test_setup_teardown(function, set_up_home, tear_down_home)

#define OK(call)                                                                                             \
	do {                                                                                                 \
		if (call)                                                                                    \
			fail_msg("%s", f->err.text);                                                         \
	} while (0)

/* ---- snapshots made for a test ---- */

static int write_to_fd(void *context, struct slice bytes, struct err *err)
{
	return fd_write_all(*(const int *)context, bytes.ptr, bytes.len, err);
}

static int snapshot_fd(struct parity_fixture *f, const struct fact *facts, size_t count)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC);
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(MIB(1));
	AUTO(fact_writer_free) struct fact_writer writer = {0};

	assert_true(fd >= 0);
	for (size_t i = 0; i < count; i++)
		OK(fact_add_fact(&list, &facts[i], &f->err));
	fact_list_sort(&list);
	fact_writer_init(&writer, write_to_fd, &fd);
	OK(fact_list_write(&list, &writer, &f->err));
	OK(fact_writer_end(&writer, &f->err));
	return fd;
}

static struct fact text_fact(const char *key, const char *value)
{
	return (struct fact){.key = slice_of(key), .value = slice_of(value), .kind = FACT_TEXT};
}

static const char *store(struct parity_fixture *f, const struct fact *facts, size_t count, bool shared)
{
	struct parity_snapshot_file file;
	AUTO(close_fd) int fd = snapshot_fd(f, facts, count);
	OK(parity_snapshot_store(&f->home, fd, &file, &f->err));
	assert_int_equal(file.shared, shared);
	assert_true(file.size > 0 && file.bytes > 0);
	return arena_strdup(&f->arena, file.digest);
}

static const char *file_of(struct parity_fixture *f, const char *digest)
{
	return arena_printf(&f->arena, "%s/%.2s/%s.zst", f->home.facts, digest, digest);
}

static struct parity_run run_of(const char *id, int64_t at_ms)
{
	return (struct parity_run){.id = id,
				   .project = "shop",
				   .kind = PARITY_RUN_PARITY,
				   .subjects = "staging production",
				   .reference = "production",
				   .who = "ana",
				   .started_ms = at_ms,
				   .ended_ms = at_ms + 10};
}

static const struct fact simple = {.key = {"os/a/b", 6}, .value = {"1", 1}, .kind = FACT_TEXT};

static void put_snapshot(struct parity_fixture *f, const char *run, const char *environment,
			 const char *digest, int64_t at_ms)
{
	const struct parity_snapshot snapshot = {.run = run,
						 .environment = environment,
						 .server = "web1:/srv/shop",
						 .label = "web1",
						 .digest = digest,
						 .size = 10,
						 .bytes = 5,
						 .taken_ms = at_ms};
	OK(parity_snapshot_put(f->home.db, &snapshot, &f->err));
}

static void put_run(struct parity_fixture *f, const char *id, int64_t at_ms, const char *digest)
{
	struct parity_run run = run_of(id, at_ms);
	OK(parity_run_insert(f->home.db, &run, &f->err));
	if (digest)
		put_snapshot(f, id, "staging", digest, at_ms);
}

/* ---- runs ---- */

static void a_run_is_kept_whole(void **state)
{
	struct parity_fixture *f = *state;
	struct parity_run run = run_of("261122-aaaaa", 1000), out;
	struct parity_run_list list;
	const char *digest = store(f, &simple, 1, false);
	bool found;

	run.ended_ms = 0;
	OK(parity_run_insert(f->home.db, &run, &f->err));
	assert_int_equal(parity_run_insert(f->home.db, &run, &f->err), -1);
	assert_int_equal(f->err.code, ERR_CONFLICT);
	put_snapshot(f, run.id, "staging", digest, 1001);
	put_snapshot(f, run.id, "production", digest, 1002);
	OK(parity_run_latest(f->home.db, &f->arena, "shop", "staging", "production", &found, &out, &f->err));
	assert_false(found); /* it has not ended */

	run.ended_ms = 2000;
	run.totals = (struct compare_totals){.rows = 9,
					     .same = 1,
					     .allowed = 2,
					     .drift = 3,
					     .missing = 4,
					     .not_checked = 5,
					     .stale = 6,
					     .facts = 7};
	run.finding_count = 8;
	run.coverage = 77;
	OK(parity_run_update(f->home.db, &run, &f->err));
	OK(parity_run_latest(f->home.db, &f->arena, "shop", "staging", "production", &found, &out, &f->err));
	assert_true(found);
	assert_string_equal(out.id, run.id);
	assert_string_equal(out.subjects, "staging production");
	assert_string_equal(out.reference, "production");
	assert_int_equal(out.kind, PARITY_RUN_PARITY);
	assert_int_equal(out.started_ms, 1000);
	assert_int_equal(out.ended_ms, 2000);
	assert_memory_equal(&out.totals, &run.totals, sizeof(out.totals));
	assert_int_equal(out.finding_count, 8);
	assert_int_equal(out.coverage, 77);
	assert_null(out.error);
	OK(parity_run_latest(f->home.db, &f->arena, "shop", "staging", "dev", &found, &out, &f->err));
	assert_false(found);

	run.id = "261122-bbbbb";
	assert_int_equal(parity_run_update(f->home.db, &run, &f->err), -1);
	assert_int_equal(f->err.code, ERR_NOT_FOUND);
	run.started_ms = 3000;
	run.error = "no server answered";
	OK(parity_run_insert(f->home.db, &run, &f->err));
	put_snapshot(f, run.id, "staging", digest, 3001);
	put_snapshot(f, run.id, "production", digest, 3001);
	OK(parity_run_latest(f->home.db, &f->arena, "shop", "staging", "production", &found, &out, &f->err));
	assert_string_equal(out.id, "261122-aaaaa"); /* one that failed is no evidence */
	OK(parity_run_list(f->home.db, &f->arena, "shop", NULL, &list, &f->err));
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].id, "261122-bbbbb");
	const struct page page = {.limit = 1, .before_ms = 3000, .before_id = "261122-bbbbb"};
	OK(parity_run_list(f->home.db, &f->arena, NULL, &page, &list, &f->err));
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].id, "261122-aaaaa");

	struct parity_snapshot_list snapshots;
	OK(parity_snapshot_list(f->home.db, &f->arena, "261122-aaaaa", &snapshots, &f->err));
	assert_int_equal(snapshots.count, 2);
	assert_string_equal(snapshots.items[0].environment, "production");
	assert_string_equal(snapshots.items[1].server, "web1:/srv/shop");
	assert_string_equal(snapshots.items[1].label, "web1");
	assert_string_equal(snapshots.items[1].digest, digest);
	assert_int_equal(snapshots.items[1].taken_ms, 1001);
}

static void old_runs_are_forgotten_but_never_the_newest(void **state)
{
	struct parity_fixture *f = *state;
	struct parity_run_list list;
	size_t count;
	const int64_t now_ms = (int64_t)1000 * DAY_MS;
	const char *digest = store(f, &simple, 1, false);

	put_run(f, "261122-00001", now_ms - (int64_t)100 * DAY_MS, digest);
	OK(parity_run_prune(f->home.db, now_ms, 90, 200, &count, &f->err));
	assert_int_equal(count, 0);
	put_run(f, "261122-00002", now_ms - (int64_t)91 * DAY_MS, digest);
	put_run(f, "261122-00003", now_ms - (int64_t)89 * DAY_MS, digest);
	put_run(f, "261122-00004", now_ms, digest);
	struct parity_run other = run_of("261122-00005", now_ms - (int64_t)500 * DAY_MS);
	other.project = "other";
	OK(parity_run_insert(f->home.db, &other, &f->err));
	OK(parity_run_prune(f->home.db, now_ms, 90, 200, &count, &f->err));
	assert_int_equal(count, 2);
	OK(parity_run_prune(f->home.db, now_ms, 90, 1, &count, &f->err));
	assert_int_equal(count, 1);
	OK(parity_run_list(f->home.db, &f->arena, NULL, NULL, &list, &f->err));
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].id, "261122-00004");
	assert_string_equal(list.items[1].id, "261122-00005");
	struct parity_snapshot_list snapshots;
	OK(parity_snapshot_list(f->home.db, &f->arena, "261122-00003", &snapshots, &f->err));
	assert_int_equal(snapshots.count, 0);
}

/* ---- snapshots ---- */

static void a_snapshot_comes_back_and_is_shared(void **state)
{
	struct parity_fixture *f = *state;
	const struct fact facts[] = {text_fact("os/release/version", "12"),
				     text_fact("os/kernel/release", "6.1")};
	const char *digest = store(f, facts, 2, false);
	AUTO(close_fd) int fd = -1;
	AUTO(fact_reader_free) struct fact_reader *reader = NULL;
	struct fact fact;
	struct stat st;

	assert_string_equal(store(f, facts, 2, true), digest);
	assert_int_equal(stat(file_of(f, digest), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	OK(parity_snapshot_open(&f->home, digest, &fd, &f->err));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	reader = fact_reader_of_fd(fd);
	assert_int_equal(fact_next(reader, &fact, &f->err), 1);
	assert_true(slice_is(fact.key, "os/kernel/release"));
	assert_int_equal(fact_next(reader, &fact, &f->err), 1);
	assert_true(slice_is(fact.value, "12"));
	assert_int_equal(fact_next(reader, &fact, &f->err), 0);
}

static void overwrite(const char *path, off_t at, const char *bytes, size_t len)
{
	AUTO(close_fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
}

static void a_damaged_snapshot_is_named(void **state)
{
	struct parity_fixture *f = *state;
	const struct fact fact = text_fact("os/release/version", "12");
	const char *digest = store(f, &fact, 1, false), *path = file_of(f, digest);
	AUTO(close_fd) int fd = -1;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	overwrite(path, st.st_size - 6, "xxxx", 4);
	assert_int_equal(parity_snapshot_open(&f->home, digest, &fd, &f->err), -1);
	assert_int_equal(f->err.code, ERR_INTERNAL);
	assert_non_null(strstr(f->err.text, path));
	assert_non_null(strstr(f->err.text, "is damaged"));
	assert_non_null(strstr(f->err.hint, "remove the file"));

	for (off_t len = 0; len < st.st_size; len += 7) {
		assert_int_equal(truncate(path, len), 0);
		assert_int_equal(parity_snapshot_open(&f->home, digest, &fd, &f->err), -1);
		assert_int_equal(f->err.code, ERR_INTERNAL);
		assert_non_null(strstr(f->err.text, path));
	}
	/* A whole file of another snapshot's is no better. */
	const struct fact other = text_fact("os/release/version", "13");
	const char *second = store(f, &other, 1, false);
	assert_int_equal(rename(file_of(f, second), path), 0);
	assert_int_equal(parity_snapshot_open(&f->home, digest, &fd, &f->err), -1);
	assert_non_null(strstr(f->err.text, "not what its name says"));
	assert_int_equal(parity_snapshot_open(&f->home, second, &fd, &f->err), -1);
	assert_int_equal(f->err.code, ERR_NOT_FOUND);
	assert_int_equal(parity_snapshot_open(&f->home, "../../etc/passwd", &fd, &f->err), -1);
	assert_int_equal(fd, -1);
}

struct counting {
	const char *facts;
	size_t count;
};

static int count_file(void *context, const char *name, struct err *err)
{
	(void)err;
	assert_true(slice_ends_with(slice_of(name), ".zst"));
	((struct counting *)context)->count++;
	return 0;
}

static int count_folder(void *context, const char *name, struct err *err)
{
	struct counting *counting = context;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	return dir_each_at(AT_FDCWD, arena_printf(&arena, "%s/%s", counting->facts, name), count_file,
			   counting, err);
}

static size_t files(struct parity_fixture *f)
{
	struct counting counting = {.facts = f->home.facts};
	OK(dir_each_at(AT_FDCWD, f->home.facts, count_folder, &counting, &f->err));
	return counting.count;
}

static void what_no_run_names_is_removed_after_a_day(void **state)
{
	struct parity_fixture *f = *state;
	const struct fact one = text_fact("os/a/b", "1"), two = text_fact("os/a/b", "2");
	const char *named = store(f, &one, 1, false);
	store(f, &two, 1, false);
	const int64_t now_ms = (int64_t)time(NULL) * 1000;
	size_t count;
	uint64_t bytes;

	put_run(f, "261122-aaaaa", now_ms, named);
	OK(parity_snapshot_gc(&f->home, now_ms, &count, &bytes, &f->err));
	assert_int_equal(count, 0);
	OK(parity_snapshot_gc(&f->home, now_ms + 2 * (int64_t)DAY_MS, &count, &bytes, &f->err));
	assert_int_equal(count, 1);
	assert_true(bytes > 0);
	assert_int_equal(files(f), 1);
	OK(parity_run_prune(f->home.db, now_ms + (int64_t)200 * DAY_MS, 90, 200, &count, &f->err));
	assert_int_equal(count, 0); /* the newest stays, and its file with it */
	OK(parity_snapshot_gc(&f->home, now_ms + (int64_t)200 * DAY_MS, &count, &bytes, &f->err));
	assert_int_equal(count, 0);
	assert_int_equal(files(f), 1);
}

/* ---- one fact over time ---- */

static void expect_point(const struct parity_timeline *line, size_t at, enum parity_point_kind kind,
			 int64_t at_ms, const char *text)
{
	assert_true(at < line->count);
	assert_int_equal(line->items[at].kind, kind);
	assert_int_equal(line->items[at].at_ms, at_ms);
	assert_string_equal(line->items[at].text, text);
}

static void a_time_line_shows_changes_only(void **state)
{
	struct parity_fixture *f = *state;
	const struct fact one[] = {text_fact("os/release/version", "12"), text_fact("os/a/b", "x")},
			  same[] = {text_fact("os/release/version", "12"), text_fact("os/a/b", "y")},
			  other[] = {text_fact("os/release/version", "13")},
			  none[] = {text_fact("os/a/b", "z"), text_fact("pkg/a/version", "1")},
			  skipped[] = {{.key = SLICE("os/"),
					.value = SLICE("no answer"),
					.kind = FACT_NOT_CHECKED}},
			  elsewhere[] = {
				  {.key = SLICE("net/"), .value = SLICE("no"), .kind = FACT_NOT_CHECKED},
				  text_fact("os/release/version", "13")};
	const char *first = store(f, one, 2, false);
	struct parity_timeline line;

	put_run(f, "261122-00001", 1000, first);
	put_run(f, "261122-00002", 2000, first);
	put_run(f, "261122-00003", 3000, store(f, same, 2, false));
	put_run(f, "261122-00004", 4000, store(f, other, 1, false));
	put_run(f, "261122-00005", 5000, store(f, none, 2, false));
	put_run(f, "261122-00006", 6000, store(f, skipped, 1, false));
	const char *damaged = store(f, elsewhere, 2, false);
	put_run(f, "261122-00007", 7000, damaged);
	put_run(f, "261122-00008", 8000, first);
	OK(parity_timeline(&f->home, &f->arena, "shop", "staging", "web1:/srv/shop", "os/release/version", 0,
			   &line, &f->err));
	assert_int_equal(line.runs, 8);
	assert_int_equal(line.last_seen_ms, 8000);
	assert_int_equal(line.count, 6);
	expect_point(&line, 0, PARITY_POINT_VALUE, 1000, "12");
	assert_string_equal(line.items[0].run, "261122-00001");
	expect_point(&line, 1, PARITY_POINT_VALUE, 4000, "13");
	expect_point(&line, 2, PARITY_POINT_MISSING, 5000, "missing");
	expect_point(&line, 3, PARITY_POINT_NOT_CHECKED, 6000, "no answer");
	expect_point(&line, 4, PARITY_POINT_VALUE, 7000, "13");
	expect_point(&line, 5, PARITY_POINT_VALUE, 8000, "12");

	/* One file that cannot be read is told of; the others still count. */
	assert_int_equal(truncate(file_of(f, damaged), 3), 0);
	OK(parity_timeline(&f->home, &f->arena, "shop", "staging", "web1:/srv/shop", "os/release/version",
			   6000, &line, &f->err));
	assert_int_equal(line.count, 3);
	assert_int_equal(line.items[1].kind, PARITY_POINT_UNREADABLE);
	assert_non_null(strstr(line.items[1].text, damaged));
	expect_point(&line, 2, PARITY_POINT_VALUE, 8000, "12");

	OK(parity_timeline(&f->home, &f->arena, "shop", "production", "web1:/srv/shop", "os/release/version",
			   0, &line, &f->err));
	assert_int_equal(line.count, 0);
}

/* Fingerprints are made anew in each run; only the kept ones tell of a change. */
static void a_fingerprint_changes_with_its_kept_one(void **state)
{
	struct parity_fixture *f = *state;
	static const char *const kept[] = {"k1", "k1", "k2"};
	struct parity_timeline line;

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		char run_hmac[DIGEST_LEN];
		memset(run_hmac, (int)('a' + i), sizeof(run_hmac));
		const struct fact facts[] = {
			{.key = SLICE("env/A/value"), .value = {run_hmac, DIGEST_LEN}, .kind = FACT_HMAC},
			{.key = SLICE("env/A/kept"),
			 .value = slice_of(kept[i]),
			 .kind = FACT_TEXT,
			 .evidence = true},
		};
		put_run(f, arena_printf(&f->arena, "261122-0000%zu", i), (int64_t)(1000 * (i + 1)),
			store(f, facts, 2, false));
	}
	OK(parity_timeline(&f->home, &f->arena, "shop", "staging", "web1:/srv/shop", "env/A/value", 0, &line,
			   &f->err));
	assert_int_equal(line.count, 2);
	expect_point(&line, 0, PARITY_POINT_VALUE, 1000, "present");
	expect_point(&line, 1, PARITY_POINT_VALUE, 3000, "present, another value");
}

/* ---- findings ---- */

static struct finding finding_of(const char *id, const char *key)
{
	static const struct finding_cell cells[] = {{"staging", NULL, "missing", CELL_MISSING},
						    {"production", "web1", "8.3.6", CELL_SAME}};
	struct finding finding = {.kind = FINDING_DRIFT,
				  .key = key,
				  .severity = SEVERITY_HIGH,
				  .direction = FINDING_REFERENCE_HAS,
				  .cells = cells,
				  .cell_count = 2,
				  .text = "staging lacks it",
				  .cause = "",
				  .advice = ""};
	snprintf(finding.id, sizeof(finding.id), "%s", id);
	return finding;
}

static struct parity_changes record(struct parity_fixture *f, const char *id, int64_t at_ms,
				    struct finding *items, size_t count, bool (*looked)(void *, struct slice))
{
	struct parity_run run = run_of(id, at_ms - 10);
	struct findings findings = {.items = items, .count = count};
	struct parity_changes changes;
	OK(parity_run_insert(f->home.db, &run, &f->err));
	OK(parity_finding_record(f->home.db, &run, &findings, looked, NULL, &changes, &f->err));
	return changes;
}

static bool only_env(void *context, struct slice key)
{
	(void)context;
	return slice_starts_with(key, "env/");
}

static void a_finding_keeps_its_identity(void **state)
{
	struct parity_fixture *f = *state;
	struct finding both[] = {finding_of("aaaaaaaaaaaa", "env/A/value"),
				 finding_of("aaaabbbbbbbb", "os/a/b")};
	struct parity_changes changes = record(f, "261122-00001", 1000, both, 2, NULL);
	struct parity_finding_list list;
	struct parity_finding one;

	assert_int_equal(changes.appeared, 2);
	assert_int_equal(changes.gone, 0);
	assert_int_equal(both[0].first_seen_ms, 1000);

	both[1].severity = SEVERITY_CRITICAL;
	both[1].cause = "edited by hand";
	changes = record(f, "261122-00002", 2000, both, 2, NULL);
	assert_int_equal(changes.appeared + changes.gone, 0);
	assert_int_equal(both[1].first_seen_ms, 1000);
	assert_int_equal(both[1].last_seen_ms, 2000);

	changes = record(f, "261122-00003", 3000, both, 1, only_env);
	assert_int_equal(changes.gone, 0); /* the other was not looked at */
	changes = record(f, "261122-00004", 4000, both, 1, NULL);
	assert_int_equal(changes.gone, 1);
	OK(parity_finding_list(f->home.db, &f->arena, "shop", NULL, &list, &f->err));
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].id, "aaaaaaaaaaaa");
	OK(parity_finding_find(f->home.db, &f->arena, "shop", "aaaab", &one, &f->err));
	assert_int_equal(one.gone_ms, 4000);
	assert_int_equal(one.severity, SEVERITY_CRITICAL);
	assert_string_equal(one.cause, "edited by hand");
	assert_string_equal(one.scope, "staging production");
	assert_string_equal(one.cells,
			    "[{\"environment\":\"staging\",\"server\":null,\"state\":\"missing\",\"text\":"
			    "\"missing\"},{\"environment\":\"production\",\"server\":\"web1\",\"state\":"
			    "\"same\",\"text\":\"8.3.6\"}]");

	changes = record(f, "261122-00005", 5000, both, 2, NULL);
	assert_int_equal(changes.appeared, 1);
	assert_int_equal(both[1].first_seen_ms, 5000); /* it came back: the onset is new … */
	OK(parity_finding_find(f->home.db, &f->arena, "shop", "aaaabbbbbbbb", &one, &f->err));
	assert_int_equal(one.first_seen_ms, 1000); /* … and what it was is known */
	assert_int_equal(one.onset_ms, 5000);
	assert_int_equal(one.gone_ms, 0);
	assert_string_equal(one.run, "261122-00005");

	struct parity_change_list history;
	OK(parity_change_list(f->home.db, &f->arena, "shop", 1001, NULL, &history, &f->err));
	assert_int_equal(history.count, 2);
	assert_true(history.items[0].gone);
	assert_int_equal(history.items[0].at_ms, 4000);
	assert_false(history.items[1].gone);
	assert_string_equal(history.items[1].key, "os/a/b");
	OK(parity_change_list(f->home.db, &f->arena, "shop", 0, "261122-00001", &history, &f->err));
	assert_int_equal(history.count, 2);
	OK(parity_change_list(f->home.db, &f->arena, "other", 0, NULL, &history, &f->err));
	assert_int_equal(history.count, 0);
}

static void scopes_do_not_clear_each_other(void **state)
{
	struct parity_fixture *f = *state;
	struct finding one = finding_of("aaaaaaaaaaaa", "env/A/value");
	struct parity_run drift = run_of("261122-00002", 2000);
	struct findings nothing = {0};
	struct parity_changes changes;
	struct parity_finding_list list;

	record(f, "261122-00001", 1000, &one, 1, NULL);
	drift.kind = PARITY_RUN_DRIFT;
	OK(parity_finding_record(f->home.db, &drift, &nothing, NULL, NULL, &changes, &f->err));
	assert_int_equal(changes.gone, 0);
	drift.kind = PARITY_RUN_DIFF;
	drift.subjects = "dev staging";
	OK(parity_finding_record(f->home.db, &drift, &nothing, NULL, NULL, &changes, &f->err));
	assert_int_equal(changes.gone, 0);
	OK(parity_finding_list(f->home.db, &f->arena, "shop", "staging production", &list, &f->err));
	assert_int_equal(list.count, 1);
	drift.subjects = "staging production";
	OK(parity_finding_record(f->home.db, &drift, &nothing, NULL, NULL, &changes, &f->err));
	assert_int_equal(changes.gone, 1);
}

static void a_part_of_an_id_must_name_one(void **state)
{
	struct parity_fixture *f = *state;
	struct finding both[] = {finding_of("aaaaaaaaaaaa", "env/A/value"),
				 finding_of("aaaabbbbbbbb", "os/a/b")};
	struct parity_finding one;

	record(f, "261122-00001", 1000, both, 2, NULL);
	assert_int_equal(parity_finding_find(f->home.db, &f->arena, "shop", "aaaa", &one, &f->err), -1);
	assert_int_equal(f->err.code, ERR_USER);
	assert_int_equal(parity_finding_find(f->home.db, &f->arena, "shop", "aaa", &one, &f->err), -1);
	assert_int_equal(f->err.code, ERR_USER);
	assert_int_equal(parity_finding_find(f->home.db, &f->arena, "shop", "ffff", &one, &f->err), -1);
	assert_int_equal(f->err.code, ERR_NOT_FOUND);
	assert_int_equal(parity_finding_find(f->home.db, &f->arena, "other", "aaaaa", &one, &f->err), -1);
	assert_int_equal(f->err.code, ERR_NOT_FOUND);
}

/* ---- rules kept here ---- */

static void rules_are_kept_in_order(void **state)
{
	struct parity_fixture *f = *state;
	static const char *const environments[] = {"staging"}, *const words[] = {"8.3.6", "it's \"so\""};
	const struct parity_allow ratio = {.project = "shop",
					   .rule = {.fact = "hw/memory/total",
						    .kind = RULE_RATIO,
						    .ratio = 0.25,
						    .environments = environments,
						    .environment_count = 1,
						    .severity = SEVERITY_LOW,
						    .owner = "ops",
						    .reason = "staging is small",
						    .until_ms = 99},
					   .who = "ana",
					   .created_ms = 7},
				  one_of = {.project = "shop",
					    .rule = {.fact = "runtime/php/*",
						     .kind = RULE_ONE_OF,
						     .words = words,
						     .word_count = 2}};
	struct parity_allow_list list;
	int64_t first = 0, second = 0;

	OK(parity_allow_put(f->home.db, &ratio, &first, &f->err));
	OK(parity_allow_put(f->home.db, &one_of, &second, &f->err));
	OK(parity_allow_list(f->home.db, &f->arena, "shop", &list, &f->err));
	assert_int_equal(list.count, 2);
	const struct rule *rule = &list.items[0].rule;
	assert_int_equal(list.items[0].number, first);
	assert_string_equal(list.items[0].who, "ana");
	assert_int_equal(list.items[0].created_ms, 7);
	assert_string_equal(rule->fact, "hw/memory/total");
	assert_int_equal(rule->kind, RULE_RATIO);
	assert_true(rule->ratio > 0.249999 && rule->ratio < 0.250001);
	assert_int_equal(rule->word_count, 0);
	assert_int_equal(rule->environment_count, 1);
	assert_string_equal(rule->environments[0], "staging");
	assert_int_equal(rule->severity, SEVERITY_LOW);
	assert_string_equal(rule->owner, "ops");
	assert_string_equal(rule->reason, "staging is small");
	assert_int_equal(rule->until_ms, 99);
	assert_non_null(strstr(rule->where, "kept on this machine"));
	rule = &list.items[1].rule;
	assert_int_equal(rule->kind, RULE_ONE_OF);
	assert_int_equal(rule->word_count, 2);
	assert_string_equal(rule->words[1], "it's \"so\"");
	assert_int_equal(rule->environment_count, 0);
	assert_int_equal(rule->severity, SEVERITY_NONE);
	assert_null(rule->owner);

	assert_int_equal(parity_allow_remove(f->home.db, "other", first, &f->err), -1);
	assert_int_equal(f->err.code, ERR_NOT_FOUND);
	OK(parity_allow_remove(f->home.db, "shop", first, &f->err));
	OK(parity_allow_list(f->home.db, &f->arena, "shop", &list, &f->err));
	assert_int_equal(list.count, 1);
	OK(parity_allow_list(f->home.db, &f->arena, "other", &list, &f->err));
	assert_int_equal(list.count, 0);
	/* What an unknown program wrote must not let anything pass. */
	OK(db_exec(f->home.db, "update parity_allow set kind = 'everything'", &f->err));
	assert_int_equal(parity_allow_list(f->home.db, &f->arena, "shop", &list, &f->err), -1);
	assert_int_equal(f->err.code, ERR_CONFLICT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOME_CASE(a_run_is_kept_whole),
		HOME_CASE(old_runs_are_forgotten_but_never_the_newest),
		HOME_CASE(a_snapshot_comes_back_and_is_shared),
		HOME_CASE(a_damaged_snapshot_is_named),
		HOME_CASE(what_no_run_names_is_removed_after_a_day),
		HOME_CASE(a_time_line_shows_changes_only),
		HOME_CASE(a_fingerprint_changes_with_its_kept_one),
		HOME_CASE(a_finding_keeps_its_identity),
		HOME_CASE(scopes_do_not_clear_each_other),
		HOME_CASE(a_part_of_an_id_must_name_one),
		HOME_CASE(rules_are_kept_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
