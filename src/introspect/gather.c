#include "introspect/gather.h"

#include "introspect/route.h"

#include <stdio.h>

void gather_free(struct gather *gather)
{
	catalog_close(&gather->catalog);
	route_close(&gather->route);
	arena_free(&gather->scratch);
	arena_free(&gather->arena);
}

/* A key no limit cuts: of one too long the middle becomes its digest. */
static struct slice key_of(struct gather *gather, const char *format, va_list args)
{
	enum { KEPT = 1000 };
	const char *rest = arena_vprintf(&gather->scratch, format, args);
	size_t len = strlen(rest);

	if (len > 3 * KEPT) {
		struct digest digest;
		char hex[DIGEST_HEX_LEN + 1];
		digest_of(slice_of(rest), &digest);
		digest_to_hex(&digest, hex);
		rest = arena_printf(&gather->scratch, "%.*s…%s…%s", KEPT, rest, hex, rest + len - KEPT);
	}
	return slice_of(arena_printf(&gather->scratch, "db/%s/%s", gather->spec->name, rest));
}

static int put(struct gather *gather, const struct fact *fact, struct err *err)
{
	if (!fact->value.ptr)
		return 0;
	if (fact_add_fact(gather->out, fact, err)) {
		gather->broken = true;
		return -1;
	}
	return 0;
}

/* A text too long for a fact is told by its digest. */
static struct fact fact_of(struct gather *gather, struct slice key, enum fact_kind kind, struct slice value)
{
	struct fact fact = {.key = key, .value = value, .kind = kind};

	if ((kind == FACT_TEXT && value.len > GATHER_TEXT_MAX) || value.len > FACT_VALUE_MAX) {
		struct digest *digest = ARENA_NEW(&gather->scratch, struct digest);
		digest_of(value, digest);
		fact.kind = FACT_DIGEST;
		fact.value = slice_make(digest->bytes, sizeof(digest->bytes));
	}
	return fact;
}

int gather_put(struct gather *gather, enum fact_kind kind, struct slice value, struct err *err,
	       const char *format, ...)
{
	va_list args;

	va_start(args, format);
	struct fact fact = fact_of(gather, key_of(gather, format, args), kind, value);
	va_end(args);
	return put(gather, &fact, err);
}

int gather_evidence(struct gather *gather, enum fact_kind kind, struct slice value, struct err *err,
		    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	struct fact fact = fact_of(gather, key_of(gather, format, args), kind, value);
	va_end(args);
	fact.evidence = true;
	return put(gather, &fact, err);
}

int gather_sql(struct gather *gather, struct slice sql, struct err *err, const char *format, ...)
{
	AUTO(buf_free) struct buf text = BUF_INIT(GATHER_SQL_MAX);
	va_list args;

	if (!sql.ptr)
		return 0;
	struct sql_tokens tokens = sql_text_split(&gather->scratch, gather->dialect, sql);
	if (gather->home)
		sql_text_drop_schema(&gather->scratch, &tokens, slice_of(gather->home));
	sql_text_put(&text, &tokens);
	va_start(args, format);
	struct fact fact = fact_of(gather, key_of(gather, format, args), FACT_TEXT,
				   text.overflow ? sql : slice_make(buf_str(&text), text.len));
	va_end(args);
	return put(gather, &fact, err);
}

int gather_gap(struct gather *gather, const char *key, const char *why, struct err *err)
{
	return gather_put(gather, FACT_NOT_CHECKED, slice_of(why), err, "%s", key);
}

const char *gather_reason(struct gather *gather, const struct err *why)
{
	switch (why->code) {
	case ERR_CONFLICT:
		return arena_printf(&gather->scratch, "somebody holds a lock on it (waited %d s)",
				    CATALOG_LOCK_MS / 1000);
	case ERR_GATE:
		return arena_printf(&gather->scratch, "no answer in time (%s)", why->text);
	default:
		return arena_strdup(&gather->scratch, why->text);
	}
}

struct rows {
	struct gather *gather;
	catalog_row *row;
};

/* What a row needed is given back from time to time. */
static int take_row(void *context, const struct slice *values, size_t count, struct err *err)
{
	struct rows *rows = context;

	if (rows->gather->scratch.used > MIB(1))
		arena_free(&rows->gather->scratch);
	return rows->row(rows->gather, values, count, err);
}

int gather_query(struct gather *gather, const char *covers, const char *sql, catalog_row *row,
		 struct err *err)
{
	struct err why = ERR_INIT;
	struct slice rest = slice_of(covers);

	struct rows rows = {gather, row};
	int status = catalog_query(gather->catalog, sql, row ? take_row : NULL, &rows, &why);
	arena_free(&gather->scratch);
	if (status == 0)
		return 0;
	if (gather->broken) {
		*err = why;
		return -1;
	}
	const char *reason = gather_reason(gather, &why);
	while (rest.ptr) {
		struct slice key = slice_cut(&rest, ' ');
		if (key.len && gather_gap(gather, arena_str(&gather->scratch, key), reason, err))
			return -1;
	}
	return 0;
}

const char *gather_name(struct gather *gather, struct slice schema, struct slice name)
{
	if (gather->home && slice_is(schema, gather->home))
		return arena_str(&gather->scratch, name);
	return arena_printf(&gather->scratch, "%.*s.%.*s", SLICE_ARG(schema), SLICE_ARG(name));
}

struct slice gather_yes(bool yes)
{
	return yes ? SLICE("yes") : SLICE("no");
}

const char *gather_str(struct gather *gather, struct slice text)
{
	return arena_str(&gather->scratch, text);
}

/* What of "db/NAME/" belongs to the schema; a migration that was applied does not: its
 * effect does. */
static bool is_schema(struct slice rest)
{
	static const char *const parts[] = {"table/",  "view/", "function/", "sequence/",  "enum/",
					    "domain/", "type/", "event/",    "statistics/"};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (slice_starts_with(rest, parts[i]))
			return true;
	return rest.len == 0;
}

int gather_fingerprint(struct gather *gather, struct err *err)
{
	const char *prefix = arena_printf(&gather->arena, "db/%s/", gather->spec->name);
	struct digest_stream stream;
	struct digest digest;

	fact_list_sort(gather->out);
	digest_init(&stream);
	for (size_t i = 0; i < gather->out->count; i++) {
		const struct fact *fact = &gather->out->items[i];
		if (!slice_starts_with(fact->key, prefix) || fact->evidence)
			continue;
		struct slice rest = slice_skip(fact->key, strlen(prefix));
		if (!is_schema(rest))
			continue;
		if (fact->kind == FACT_NOT_CHECKED)
			return gather_gap(gather, "fingerprint/schema",
					  arena_printf(&gather->arena, "not all of the schema was read: %.*s",
						       SLICE_ARG(fact->value)),
					  err);
		const uint64_t sizes[] = {rest.len, fact->value.len, fact->kind};
		digest_update(&stream, sizes, sizeof(sizes));
		digest_update(&stream, rest.ptr, rest.len);
		digest_update(&stream, fact->value.ptr, fact->value.len);
	}
	digest_finish(&stream, &digest);
	return gather_put(gather, FACT_DIGEST, slice_make(digest.bytes, sizeof(digest.bytes)), err,
			  "fingerprint/schema");
}
