/* Snapshots written as lines, for tests of what compares them:
 *
 *	key=value	text		#key=12 MB	number		!key=why	not checked
 *	~key=value	evidence	%key=text	HMAC of it (32 bytes, padded)
 */
#pragma once

#include "fact/compare.h"

#include "../cmocka_base.h"

#include <stdio.h>

enum { SNAP_MAX = 16 };

/* One server: its environment, group and facts. */
struct snap {
	const char *environment, *server, *group;
	const char *facts; /* lines */
	bool stale;
};

static int snap_put(void *context, struct slice bytes, struct err *err)
{
	buf_put_slice(context, bytes);
	return buf_check(context, "the snapshot", err);
}

static inline void snap_add(struct fact_list *list, struct slice line)
{
	struct err err = ERR_INIT;
	char digest[DIGEST_LEN + 1];
	struct fact fact = {.kind = FACT_TEXT};

	if (slice_starts_with(line, "#"))
		fact.kind = FACT_NUMBER;
	if (slice_starts_with(line, "!"))
		fact.kind = FACT_NOT_CHECKED;
	if (slice_starts_with(line, "%"))
		fact.kind = FACT_HMAC;
	fact.evidence = slice_starts_with(line, "~");
	if (fact.kind != FACT_TEXT || fact.evidence)
		line = slice_skip(line, 1);
	fact.key = slice_cut(&line, '=');
	fact.value = line.ptr ? line : slice_make("", 0);
	if (fact.kind == FACT_HMAC) {
		snprintf(digest, sizeof(digest), "%-32.*s", SLICE_ARG(fact.value));
		fact.value = slice_make(digest, DIGEST_LEN);
	}
	if (fact_add_fact(list, &fact, &err))
		fail_msg("%s", err.text);
}

static inline void snap_write(struct fact_list *list, struct buf *out)
{
	AUTO(fact_writer_free) struct fact_writer writer = {0};
	struct err err = ERR_INIT;

	fact_writer_init(&writer, snap_put, out);
	if (fact_list_write(list, &writer, &err) || fact_writer_end(&writer, &err))
		fail_msg("%s", err.text);
}

static inline void snap_of(const char *facts, struct buf *out)
{
	AUTO(fact_list_free) struct fact_list list = FACT_LIST_INIT(16 << 20);

	for (struct slice rest = slice_of(facts); rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n');
		if (line.len)
			snap_add(&list, line);
	}
	snap_write(&list, out);
}

/* Everything compare_run wants, of up to SNAP_MAX servers. */
struct bench {
	struct buf bytes[SNAP_MAX];
	struct compare_column columns[SNAP_MAX];
	const char *environments[SNAP_MAX];
	struct rule_book *book;
	struct compare_input input;
};

static inline void bench_free(struct bench *bench)
{
	for (size_t i = 0; i < bench->input.column_count; i++) {
		fact_reader_free(&bench->columns[i].reader);
		buf_free(&bench->bytes[i]);
	}
	rule_book_free(&bench->book);
}

enum { SNAP_NOW = 1000 };

/* The reference is the environment named so; servers of one environment follow one another. */
static inline void bench_set(struct bench *bench, const struct snap *snaps, size_t count,
			     const char *reference, const struct rule *own, size_t own_count)
{
	size_t environments = 0;

	*bench = (struct bench){0};
	bench->book = rule_book_new(own, own_count, SNAP_NOW);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || strcmp(snaps[i].environment, snaps[i - 1].environment) != 0)
			bench->environments[environments++] = snaps[i].environment;
		bench->bytes[i] = BUF_INIT(16 << 20);
		snap_of(snaps[i].facts, &bench->bytes[i]);
		bench->columns[i] = (struct compare_column){
			.environment = environments - 1,
			.server = snaps[i].server ? snaps[i].server : snaps[i].environment,
			.group = snaps[i].group,
			.reader = fact_reader_of_bytes(buf_slice(&bench->bytes[i])),
			.stale = snaps[i].stale,
		};
	}
	bench->input = (struct compare_input){
		.environments = bench->environments,
		.environment_count = environments,
		.columns = bench->columns,
		.column_count = count,
		.rules = bench->book,
		.now_ms = SNAP_NOW,
	};
	for (size_t e = 0; e < environments; e++)
		if (strcmp(bench->environments[e], reference) == 0)
			bench->input.reference = e;
}
