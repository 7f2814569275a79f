/* Statements, transactions, and what is said when the file is not what it should be. */
#include "../temp.h"

#include "db/db.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>

#include <cmocka.h>

enum { NOBODY = 65534 };

struct fixture {
	struct temp temp;
	struct arena arena;
	struct err err;
	char path[128];
	struct db *db;
};

static int set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	f->temp = temp_make();
	snprintf(f->path, sizeof(f->path), "%s/state.db", f->temp.path);
	*state = f;
	return db_open(f->path, &f->db, &f->err) ||
	       db_exec(f->db,
		       "create table item (id integer primary key, name text unique, size integer) strict",
		       &f->err);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	db_close(&f->db);
	temp_remove(&f->temp);
	arena_free(&f->arena);
	free(f);
	return 0;
}

static void write_file(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static int add(struct fixture *f, int64_t id, const char *name)
{
	return db_exec_bound(f->db, "insert into item (id, name, size) values (:id, :name, :id)",
			     DB_BINDS(DB_INT(":id", id), DB_STR(":name", name)), &f->err);
}

static int64_t count(struct fixture *f)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	assert_int_equal(db_query(f->db, &stmt, "select count(*) as n from item", &f->err), 0);
	assert_int_equal(db_step(stmt, &f->err), 1);
	return db_column_int(stmt, "n");
}

static void values_come_back_as_they_were_bound(void **state)
{
	struct fixture *f = *state;
	static const int64_t numbers[] = {0, 1, -1, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		AUTO(db_finish) struct db_stmt *stmt = NULL;
		assert_int_equal(db_query_bound(f->db, &stmt,
						"select :number as number, :text as text, :none as none",
						DB_BINDS(DB_INT(":number", numbers[i]),
							 DB_STR(":text", "it's \xc3\xa9; drop table item"),
							 DB_STR(":none", NULL)),
						&f->err),
				 0);
		assert_int_equal(db_step(stmt, &f->err), 1);
		assert_true(db_column_int(stmt, "number") == numbers[i]);
		assert_string_equal(db_column_text(stmt, "text", &f->arena),
				    "it's \xc3\xa9; drop table item");
		assert_true(db_column_is_null(stmt, "none"));
		assert_null(db_column_text(stmt, "none", &f->arena));
		assert_int_equal(db_step(stmt, &f->err), 0);
	}
	assert_int_equal(count(f), 0);
}

static void empty_text_is_not_null(void **state)
{
	struct fixture *f = *state;
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	assert_int_equal(
		db_query_bound(f->db, &stmt, "select :text as text", DB_BINDS(DB_STR(":text", "")), &f->err),
		0);
	assert_int_equal(db_step(stmt, &f->err), 1);
	assert_false(db_column_is_null(stmt, "text"));
	assert_string_equal(db_column_text(stmt, "text", &f->arena), "");
}

static void a_statement_can_be_used_again(void **state)
{
	struct fixture *f = *state;
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	assert_int_equal(db_query(f->db, &stmt, "insert into item (id, name) values (:id, :name)", &f->err),
			 0);
	for (int i = 0; i < 10; i++) {
		char name[16];
		snprintf(name, sizeof(name), "item %d", i);
		db_bind_int(stmt, ":id", i);
		db_bind_str(stmt, ":name", name);
		assert_int_equal(db_step(stmt, &f->err), 0);
		assert_int_equal(db_changes(f->db), 1);
		db_reset(stmt);
	}
	assert_int_equal(count(f), 10);
}

static void text_that_no_database_takes_is_refused_at_the_step(void **state)
{
	struct fixture *f = *state;
	char *large = mem_alloc(DB_TEXT_MAX + 2);
	memset(large, 'x', DB_TEXT_MAX + 1);
	const struct {
		struct slice text;
		const char *why;
	} cases[] = {
		{SLICE("caf\xe9"), "name is not UTF-8"},
		{SLICE("nul\0inside"), "name is not UTF-8"},
		{slice_make(large, DB_TEXT_MAX + 1), "name is 1048577 bytes long"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(db_finish) struct db_stmt *stmt = NULL;
		assert_int_equal(db_query(f->db, &stmt, "insert into item (name, size) values (:name, :size)",
					  &f->err),
				 0);
		db_bind_text(stmt, ":name", cases[i].text);
		db_bind_int(stmt, ":size", 1);
		assert_int_equal(db_step(stmt, &f->err), -1);
		assert_non_null(strstr(f->err.text, cases[i].why));
	}
	assert_int_equal(count(f), 0);
	free(large);
}

static void a_refused_row_is_a_conflict(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(add(f, 1, "one"), 0);
	assert_int_equal(add(f, 2, "one"), -1);
	assert_int_equal(f->err.code, ERR_CONFLICT);
	assert_non_null(strstr(f->err.text, "item.name"));
	assert_int_equal(db_exec_bound(f->db, "insert into item (name, size) values (:name, :size)",
				       DB_BINDS(DB_STR(":name", "two"), DB_STR(":size", "large")), &f->err),
			 -1); /* STRICT: no text in an integer column */
	assert_int_equal(count(f), 1);
}

static void foreign_keys_hold(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(db_exec(f->db,
				 "create table part (item integer not null references item (id)) strict",
				 &f->err),
			 0);
	assert_int_equal(db_exec(f->db, "insert into part (item) values (7)", &f->err), -1);
	assert_int_equal(f->err.code, ERR_CONFLICT);
}

static void a_transaction_that_is_left_is_rolled_back(void **state)
{
	struct fixture *f = *state;
	{
		AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
		assert_int_equal(db_begin(f->db, &transaction, &f->err), 0);
		assert_int_equal(add(f, 1, "one"), 0);
		assert_int_equal(count(f), 1);
	}
	assert_int_equal(count(f), 0);
	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
	assert_int_equal(db_begin(f->db, &transaction, &f->err), 0);
	assert_int_equal(add(f, 1, "one"), 0);
	assert_int_equal(db_commit(&transaction, &f->err), 0);
	assert_null(transaction.db);
	assert_int_equal(count(f), 1);
}

static void a_reader_does_not_wait_for_a_writer(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(add(f, 1, "one"), 0);
	struct fixture other = *f;
	assert_int_equal(db_open(f->path, &other.db, &f->err), 0);
	{
		AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
		assert_int_equal(db_begin(f->db, &transaction, &f->err), 0);
		assert_int_equal(add(f, 2, "two"), 0);
		assert_int_equal(count(&other), 1);
		assert_int_equal(db_commit(&transaction, &f->err), 0);
	}
	assert_int_equal(count(&other), 2);
	db_close(&other.db);
}

static const char *pragma(struct fixture *f, const char *name)
{
	char sql[64];
	snprintf(sql, sizeof(sql), "select * from pragma_%s", name);
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	assert_int_equal(db_query(f->db, &stmt, sql, &f->err), 0);
	assert_int_equal(db_step(stmt, &f->err), 1);
	return db_column_text(stmt, name, &f->arena);
}

static void it_is_as_durable_as_promised(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(pragma(f, "journal_mode"), "wal");
	assert_string_equal(pragma(f, "synchronous"), "2"); /* FULL */
	assert_string_equal(pragma(f, "foreign_keys"), "1");
}

static void nobody_else_may_read_it(void **state)
{
	struct fixture *f = *state;
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	assert_int_equal(add(f, 1, "one"), 0);
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		char path[160];
		struct stat st;
		snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	db_close(&f->db);
	assert_int_equal(chmod(f->path, 0644), 0);
	assert_int_equal(db_open(f->path, &f->db, &f->err), 0);
	struct stat st;
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* ---- files that are not what they should be ---- */

static void expect_refused(struct fixture *f, const char *path, enum err_code code, const char *text,
			   const char *hint)
{
	struct db *db = NULL;
	err_clear(&f->err);
	assert_int_equal(db_open(path, &db, &f->err), -1);
	assert_null(db);
	assert_int_equal(f->err.code, code);
	assert_non_null(strstr(f->err.text, path));
	assert_non_null(strstr(f->err.text, text));
	assert_non_null(strstr(f->err.hint, hint));
}

static void what_is_no_database_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[128];
	char noise[8192];
	snprintf(path, sizeof(path), "%s/noise.db", f->temp.path);
	memset(noise, 'n', sizeof(noise));
	write_file(path, noise, sizeof(noise));
	expect_refused(
		f, path, ERR_INTERNAL, "damaged, or no database",
		"it is a cache: deleting it loses history on this machine, never the truth about servers");

	AUTO(buf_free) struct buf content = BUF_INIT(KIB(64));
	assert_int_equal(file_read_at(AT_FDCWD, path, &content, &f->err), 0);
	assert_true(slice_equal(buf_slice(&content), slice_make(noise, sizeof(noise))));
}

static void a_damaged_page_is_named_when_it_is_read(void **state)
{
	struct fixture *f = *state;
	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
	assert_int_equal(db_begin(f->db, &transaction, &f->err), 0);
	for (int i = 0; i < 5000; i++) {
		char name[64];
		snprintf(name, sizeof(name), "a name that takes some room, number %d", i);
		assert_int_equal(add(f, i, name), 0);
	}
	assert_int_equal(db_commit(&transaction, &f->err), 0);
	db_close(&f->db);

	struct stat st;
	assert_int_equal(stat(f->path, &st), 0);
	int fd = open(f->path, O_WRONLY | O_CLOEXEC);
	char noise[4096];
	memset(noise, 0x5a, sizeof(noise));
	for (off_t at = 4096 * 4; at + 4096 <= st.st_size; at += 4096)
		assert_int_equal(pwrite(fd, noise, sizeof(noise), at), (ssize_t)sizeof(noise));
	close(fd);

	assert_int_equal(db_open(f->path, &f->db, &f->err), 0);
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	assert_int_equal(db_query(f->db, &stmt, "select sum(size) as n from item", &f->err), 0);
	assert_int_equal(db_step(stmt, &f->err), -1);
	assert_int_equal(f->err.code, ERR_INTERNAL);
	assert_non_null(strstr(f->err.text, f->path));
	assert_non_null(strstr(f->err.hint, "it is a cache"));
}

static void another_programs_database_is_left_alone(void **state)
{
	struct fixture *f = *state;
	static const int64_t ids[] = {0, 42};
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		char sql[64];
		snprintf(sql, sizeof(sql), "pragma application_id = %d", (int)ids[i]);
		assert_int_equal(db_exec(f->db, sql, &f->err), 0);
		db_close(&f->db);
		AUTO(buf_free) struct buf before = BUF_INIT(MIB(1));
		AUTO(buf_free) struct buf after = BUF_INIT(MIB(1));
		assert_int_equal(file_read_at(AT_FDCWD, f->path, &before, &f->err), 0);
		expect_refused(f, f->path, ERR_USER, "another program", "LOCKSTEP_HOME");
		assert_int_equal(file_read_at(AT_FDCWD, f->path, &after, &f->err), 0);
		assert_true(slice_equal(buf_slice(&before), buf_slice(&after)));

		/* Byte 68 of the header is the mark: ours again, so that the next case can be made. */
		static const uint8_t ours[] = {'l', 'k', 's', 't'};
		int fd = open(f->path, O_WRONLY | O_CLOEXEC);
		assert_int_equal(pwrite(fd, ours, sizeof(ours), 68), (ssize_t)sizeof(ours));
		close(fd);
		assert_int_equal(db_open(f->path, &f->db, &f->err), 0);
	}
}

static void a_folder_in_its_place_is_refused(void **state)
{
	struct fixture *f = *state;
	expect_refused(f, f->temp.path, ERR_USER, "is no file", "move it away");
}

static void a_file_of_another_user_is_refused(void **state)
{
	struct fixture *f = *state;
	if (geteuid() != 0) {
		expect_refused(f, "/etc/passwd", ERR_DENIED, "another user", "LOCKSTEP_HOME");
		return;
	}
	db_close(&f->db);
	assert_int_equal(chown(f->path, NOBODY, NOBODY), 0);
	expect_refused(f, f->path, ERR_DENIED, "another user", "LOCKSTEP_HOME");
}

/* As an ordinary user, since nothing is read-only for root. */
static int open_in_readonly_folder(struct fixture *f)
{
	char path[128];
	struct db *db = NULL;
	snprintf(path, sizeof(path), "%s/other.db", f->temp.path);
	if (chmod(f->temp.path, 0555) || (geteuid() == 0 && (setgid(NOBODY) || setuid(NOBODY))))
		return 2;
	return db_open(path, &db, &f->err) == -1 && f->err.code == ERR_DENIED &&
			       strstr(f->err.text, "cannot be written") &&
			       strstr(f->err.hint, "LOCKSTEP_HOME")
		       ? 0
		       : 1;
}

static void a_folder_that_cannot_be_written_is_named(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();
	if (pid == 0)
		_exit(open_in_readonly_folder(f));
	int status = wait_for(pid);
	assert_int_equal(chmod(f->temp.path, 0700), 0);
	assert_int_equal(status, 0);
}

static int fill(struct fixture *f)
{
	static char text[20000];
	memset(text, 'x', sizeof(text) - 1);
	AUTO(db_end) struct db_transaction transaction = DB_TRANSACTION_INIT;
	if (db_begin(f->db, &transaction, &f->err))
		return -1;
	for (int i = 10; i < 200; i++) {
		snprintf(text, 8, "%d", i);
		text[7] = 'x';
		text[strlen(text)] = 'x';
		if (add(f, i, text))
			return -1;
	}
	return db_commit(&transaction, &f->err);
}

static void a_full_disk_leaves_nothing_half_there(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(add(f, 1, "one"), 0);
	assert_int_equal(db_exec(f->db, "pragma max_page_count = 30", &f->err), 0);
	assert_int_equal(fill(f), -1);
	assert_int_equal(f->err.code, ERR_INTERNAL);
	assert_non_null(strstr(f->err.text, "full"));
	assert_non_null(strstr(f->err.text, f->path));
	assert_non_null(strstr(f->err.hint, "free some space"));
	assert_int_equal(count(f), 1);
	assert_int_equal(db_exec(f->db, "pragma max_page_count = 100000", &f->err), 0);
	assert_int_equal(fill(f), 0);
}

/* The system refuses to write on, in the middle of a transaction. */
static int write_against_limit(struct fixture *f)
{
	struct db *db = NULL;
	struct rlimit limit = {.rlim_cur = 100000, .rlim_max = RLIM_INFINITY};
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 100000;
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) || db_open(f->path, &db, &f->err))
		return 2;
	struct fixture mine = *f;
	mine.db = db;
	if (fill(&mine) == 0)
		return 3;
	return mine.err.code == ERR_INTERNAL && strstr(mine.err.text, f->path) && mine.err.hint[0] ? 0 : 4;
}

static void a_failed_write_leaves_nothing_half_there(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(add(f, 1, "one"), 0);
	db_close(&f->db);
	pid_t pid = fork();
	if (pid == 0)
		_exit(write_against_limit(f));
	assert_int_equal(wait_for(pid), 0);
	assert_int_equal(db_open(f->path, &f->db, &f->err), 0);
	assert_int_equal(count(f), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
		CASE(values_come_back_as_they_were_bound),
		CASE(empty_text_is_not_null),
		CASE(a_statement_can_be_used_again),
		CASE(text_that_no_database_takes_is_refused_at_the_step),
		CASE(a_refused_row_is_a_conflict),
		CASE(foreign_keys_hold),
		CASE(a_transaction_that_is_left_is_rolled_back),
		CASE(a_reader_does_not_wait_for_a_writer),
		CASE(it_is_as_durable_as_promised),
		CASE(nobody_else_may_read_it),
		CASE(what_is_no_database_is_refused),
		CASE(a_damaged_page_is_named_when_it_is_read),
		CASE(another_programs_database_is_left_alone),
		CASE(a_folder_in_its_place_is_refused),
		CASE(a_file_of_another_user_is_refused),
		CASE(a_folder_that_cannot_be_written_is_named),
		CASE(a_full_disk_leaves_nothing_half_there),
		CASE(a_failed_write_leaves_nothing_half_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
