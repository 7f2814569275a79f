/* Three places with any facts, compared by any rules: rows come in order, every state has
 * what it says, the counts add up, and neither they nor the findings' identities depend on
 * the order of the environments.
 *
 * The input is three parts: settings (4 bytes), then facts of 4 bytes: column, two bytes of
 * key, kind and value. */
#include "fact/finding.h"

#include <stdlib.h>

enum { COLUMNS = 4, FACTS_MAX = 4000 };

static int put(void *context, struct slice bytes, struct err *err)
{
	buf_put_slice(context, bytes);
	return buf_check(context, "the snapshot", err);
}

/* Four parts at most, of two letters, so that keys are often equal and often nested. */
static void key_of(const uint8_t *data, enum fact_kind kind, struct buf *out)
{
	static const char *const dimensions[] = {"os", "env", "file", "db", "endpoint", "pkg", "net", "hw"};
	static const char *const parts[] = {"/a", "/b", "/ab", "/x"};
	size_t count = 1 + (data[1] & 3);

	buf_puts(out, dimensions[data[0] & 7]);
	for (size_t i = 0; i < count; i++)
		buf_puts(out, parts[(i < 2 ? data[0] >> (3 + 2 * i) : data[1] >> (2 + 2 * (i - 2))) & 3]);
	if (kind == FACT_NOT_CHECKED && (data[1] & 64))
		buf_puts(out, "/");
}

static void add_fact(struct fact_list *lists, const uint8_t *data)
{
	static const char *const texts[] = {"", "1", "2.0", "live", "test", "a"};
	AUTO(buf_free) struct buf key = BUF_INIT(256);
	char digest[DIGEST_LEN] = {0};
	struct fact fact = {.kind = (enum fact_kind)(1 + (data[3] & 7)), .evidence = (data[3] & 56) == 56};
	struct err err = ERR_INIT;

	fact.value = slice_of(texts[(data[3] >> 6) + (data[2] & 1)]);
	if (fact.kind == FACT_NUMBER)
		fact.value = data[3] & 64 ? SLICE("1 GB") : SLICE("2048 MB");
	if (fact.kind == FACT_SET)
		fact.value = data[3] & 64 ? SLICE("a\0b\0") : SLICE("b\0c\0");
	if (fact.kind == FACT_DIGEST || fact.kind == FACT_HMAC) {
		digest[0] = (char)(data[3] >> 6);
		fact.value = slice_make(digest, DIGEST_LEN);
	}
	key_of(data + 1, fact.kind, &key);
	fact.key = buf_slice(&key);
	/* What fact_check refuses is not in it. */
	if (fact_add_fact(&lists[data[0] % COLUMNS], &fact, &err))
		ASSERT(err.text[0]);
}

struct seen {
	struct buf key;
	uint64_t rows;
};

static int check_row(void *context, const struct compare_row *row, struct err *err)
{
	struct seen *seen = context;
	(void)err;

	/* A range that was told of last stands behind the keys in it. */
	bool behind = slice_ends_with(row->key, "/") && seen->key.len > row->key.len &&
		      memcmp(seen->key.ptr, row->key.ptr, row->key.len) == 0;
	ASSERT(behind || seen->key.len == 0 || slice_compare(buf_slice(&seen->key), row->key) < 0);
	if (!behind) {
		buf_clear(&seen->key);
		buf_put_slice(&seen->key, row->key);
	}
	seen->rows += !row->is_evidence;
	ASSERT(row->rule && row->policy && cell_state_name(row->state));
	for (size_t i = 0; i < COLUMNS; i++) {
		const struct cell *cell = &row->cells[i];
		ASSERT(cell_state_name(cell->state));
		ASSERT(cell->known <= row->key.len);
		ASSERT(cell->state != CELL_MISSING || !cell->fact);
		ASSERT(cell->state != CELL_NOT_CHECKED || cell->why);
		ASSERT(!cell->fact || slice_equal(cell->fact->key, row->key));
	}
	bool breach = row->state == CELL_DRIFT || row->state == CELL_MISSING;
	ASSERT(breach == (row->severity != SEVERITY_NONE));
	return 0;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct finding *)a)->id, ((const struct finding *)b)->id);
}

static void set_readers(struct compare_column *columns, const struct buf *bytes, const size_t *order)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		fact_reader_free(&columns[i].reader);
		columns[i].reader = fact_reader_of_bytes(buf_slice(&bytes[order[i]]));
	}
}

static void run_all(struct buf *bytes, const uint8_t *settings, const struct rule_book *book)
{
	static const char *const names[] = {"dev", "staging", "production"};
	static const char *const turned[] = {"production", "staging", "dev"};
	static const size_t order[] = {0, 1, 2, 3}, other[] = {2, 3, 1, 0};
	static const char *const groups[] = {NULL, "web", "job", "web"};
	struct compare_column columns[COLUMNS] = {
		{.environment = 0, .group = groups[settings[0] & 3], .stale = settings[1] == 7},
		{.environment = 1, .group = groups[settings[0] >> 2 & 3]},
		{.environment = 2, .group = groups[settings[0] >> 4 & 3], .stale = settings[1] == 9},
		{.environment = 2, .group = groups[settings[0] >> 6 & 3]},
	};
	struct compare_column back[COLUMNS] = {columns[2], columns[3], columns[1], columns[0]};
	back[0].environment = back[1].environment = 0;
	back[2].environment = 1;
	back[3].environment = 2;
	struct compare_input input = {.environments = names,
				      .environment_count = 3,
				      .reference = 2,
				      .columns = columns,
				      .column_count = COLUMNS,
				      .rules = book,
				      .now_ms = 1000};
	struct compare_totals every, some, backwards;
	struct seen seen = {.key = BUF_INIT(FACT_KEY_MAX)};
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct findings a, b;
	struct err err = ERR_INIT;

	set_readers(columns, bytes, order);
	ASSERT(compare_run(&input, true, check_row, &seen, &every, &err) == 0);
	ASSERT(seen.rows == every.rows);
	ASSERT(every.same + every.allowed + every.drift + every.missing + every.not_checked + every.stale ==
	       every.rows);
	ASSERT(compare_coverage(&every) >= 0 && compare_coverage(&every) <= 100);
	set_readers(columns, bytes, order);
	buf_clear(&seen.key);
	ASSERT(compare_run(&input, false, check_row, &seen, &some, &err) == 0);
	ASSERT(memcmp(&every, &some, sizeof(some)) == 0);
	set_readers(columns, bytes, order);
	ASSERT(findings_gather(&arena, &input, &a, &err) == 0);
	ASSERT(a.count <= every.drift + every.missing + 3);
	ASSERT((a.count > 0) >= (every.drift + every.missing > 0));
	findings_rank(&arena, &a, NULL, 1000);
	for (size_t i = 0; i < a.count; i++)
		ASSERT(a.items[i].text[0] && strlen(a.items[i].id) == 12 && a.items[i].why[0] &&
		       a.items[i].cause);
	input.environments = turned;
	input.columns = back;
	input.reference = 0;
	set_readers(back, bytes, other);
	buf_clear(&seen.key);
	ASSERT(compare_run(&input, false, check_row, &seen, &backwards, &err) == 0);
	ASSERT(memcmp(&backwards, &some, sizeof(some)) == 0);
	set_readers(back, bytes, other);
	ASSERT(findings_gather(&arena, &input, &b, &err) == 0);
	ASSERT(a.count == b.count);
	qsort(a.items, a.count, sizeof(*a.items), by_id);
	qsort(b.items, b.count, sizeof(*b.items), by_id);
	for (size_t i = 0; i < a.count; i++)
		ASSERT(strcmp(a.items[i].id, b.items[i].id) == 0 &&
		       (i == 0 || strcmp(a.items[i - 1].id, a.items[i].id) != 0));
	for (size_t i = 0; i < COLUMNS; i++) {
		fact_reader_free(&columns[i].reader);
		fact_reader_free(&back[i].reader);
	}
	buf_free(&seen.key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const patterns[] = {"*",	   "os/*", "env/a*", "file/*/b",
					       "db/[ab]*", "?s/*", "hw/*",   "net/a/*"};
	static const char *const words[] = {"1", "live"}, *const scopes[] = {"dev", "production"};
	struct fact_list lists[COLUMNS];
	struct buf bytes[COLUMNS];
	struct rule own[3];
	struct err err = ERR_INIT;

	if (size < 8)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		own[i] = (struct rule){
			.fact = patterns[data[2 + i] & 7],
			.kind = (enum rule_kind)(1 + (data[2 + i] >> 3) % 10),
			.ratio = 0.5,
			.words = words,
			.word_count = 2,
			.environments = scopes,
			.environment_count = data[5] >> (2 * i) & 1 ? 1 + (data[5] >> 7) : 0,
			.until_ms = data[5] >> (2 * i) & 2 ? 500 : 0,
		};
	for (size_t i = 0; i < COLUMNS; i++) {
		lists[i] = FACT_LIST_INIT(MIB(8));
		bytes[i] = BUF_INIT(MIB(16));
	}
	for (size_t at = 6; at + 4 <= size && at < FACTS_MAX * 4; at += 4)
		add_fact(lists, data + at);
	for (size_t i = 0; i < COLUMNS; i++) {
		AUTO(fact_writer_free) struct fact_writer writer = {0};
		fact_writer_init(&writer, put, &bytes[i]);
		ASSERT(fact_list_write(&lists[i], &writer, &err) == 0 && fact_writer_end(&writer, &err) == 0);
	}
	AUTO(rule_book_free) struct rule_book *book = rule_book_new(own, data[1] % 4, 1000);
	run_all(bytes, data, book);
	for (size_t i = 0; i < COLUMNS; i++) {
		fact_list_free(&lists[i]);
		buf_free(&bytes[i]);
	}
	return 0;
}
