#include "introspect/sqlite/table_text.h"

#include <strings.h>

struct reader {
	struct arena *arena;
	const struct sql_token *items;
	size_t count;
	struct table_text out;
	size_t cap;
	int checks; /* without a name */
};

static bool is_word(const struct reader *reader, size_t at, const char *word)
{
	const struct sql_token *token = &reader->items[at];

	return at < reader->count && token->kind == SQL_WORD && token->text.len == strlen(word) &&
	       strncasecmp(token->text.ptr, word, token->text.len) == 0;
}

static bool is_sign(const struct reader *reader, size_t at, char sign)
{
	const struct sql_token *token = &reader->items[at];

	return at < reader->count && token->kind == SQL_SIGN && token->text.len == 1 &&
	       token->text.ptr[0] == sign;
}

struct slice sqlite_name(struct arena *arena, struct slice token)
{
	size_t len = 0;

	if (token.len < 2 || !strchr("\"'`[", token.ptr[0]))
		return token;
	char quote = token.ptr[0] == '[' ? ']' : token.ptr[0];
	char *out = arena_alloc(arena, token.len);
	for (size_t i = 1; i + 1 < token.len; i++) {
		out[len++] = token.ptr[i];
		i += token.ptr[i] == quote && token.ptr[i + 1] == quote && i + 2 < token.len;
	}
	return slice_make(out, len);
}

/* Behind the parenthesis that closes the one at `at`. */
static size_t close_of(const struct reader *reader, size_t at)
{
	int depth = 0;

	for (; at < reader->count; at++) {
		depth += is_sign(reader, at, '(') - is_sign(reader, at, ')');
		if (depth == 0)
			return at + 1;
	}
	return at;
}

static void add(struct reader *reader, struct slice column, const char *name, struct slice attribute,
		const char *text)
{
	if (reader->out.count == reader->cap) {
		size_t cap = MAX(reader->cap * 2, (size_t)8);
		void *grown = arena_array(reader->arena, cap, sizeof(*reader->out.parts));
		if (reader->out.count)
			memcpy(grown, reader->out.parts, reader->out.count * sizeof(*reader->out.parts));
		reader->out.parts = grown;
		reader->cap = cap;
	}
	size_t at = reader->out.count++;
	reader->out.parts[at].column = column;
	reader->out.parts[at].name = name;
	reader->out.parts[at].attribute = attribute;
	reader->out.parts[at].text = text;
}

static const char *text_of(struct reader *reader, size_t from, size_t to)
{
	AUTO(buf_free) struct buf out = BUF_INIT(1 << 20);
	struct sql_tokens tokens = {0};

	/* The tokens are only read. */
	tokens.items = arena_array(reader->arena, to - from + 1, sizeof(*tokens.items));
	memcpy(tokens.items, reader->items + from, (to - from) * sizeof(*tokens.items));
	tokens.count = to - from;
	sql_text_put(&out, &tokens);
	return arena_strdup(reader->arena, buf_str(&out));
}

/* One column or table constraint, from `at` to `end`. */
static void take_element(struct reader *reader, size_t at, size_t end)
{
	static const char *const words[] = {"CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "FOREIGN"};
	struct slice column = {"", 0};
	const char *named = NULL;
	bool is_column = true;

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		is_column &= !is_word(reader, at, words[i]);
	if (is_column)
		column = sqlite_name(reader->arena, reader->items[at++].text);
	while (at < end) {
		size_t close = is_sign(reader, at + 1, '(') ? close_of(reader, at + 1) : at + 1;
		if (is_word(reader, at, "CONSTRAINT") && at + 1 < end) {
			named = arena_str(reader->arena,
					  sqlite_name(reader->arena, reader->items[at + 1].text));
			at += 2;
			continue;
		}
		if (is_word(reader, at, "CHECK") && close > at + 1) {
			const char *name =
				named	    ? named
				: is_column ? arena_printf(reader->arena, "%.*s_check", SLICE_ARG(column))
					    : arena_printf(reader->arena, "check_%d", ++reader->checks);
			add(reader, column, name, SLICE("check"), text_of(reader, at, close));
			named = NULL;
		} else if (is_column && is_word(reader, at, "AS") && close > at + 1) {
			bool stored = is_word(reader, close, "STORED");
			add(reader, column, NULL, SLICE("generated"),
			    arena_printf(reader->arena, "%s %s", text_of(reader, at + 1, close),
					 stored ? "STORED" : "VIRTUAL"));
		} else if (is_column && is_word(reader, at, "COLLATE") && at + 1 < end) {
			add(reader, column, NULL, SLICE("collation"), text_of(reader, at + 1, at + 2));
		}
		at = is_sign(reader, at, '(') ? close_of(reader, at) : MAX(close, at + 1);
	}
}

struct table_text sqlite_table_text(struct arena *arena, struct slice create)
{
	struct sql_tokens tokens = sql_text_split(arena, SQL_SQLITE, create);
	struct reader reader = {.arena = arena, .items = tokens.items, .count = tokens.count};
	size_t at = 0;

	while (at < reader.count && !is_sign(&reader, at, '('))
		at++;
	size_t end = close_of(&reader, at);
	size_t begin = ++at;
	for (; at < end; at++) {
		if (is_sign(&reader, at, '(')) {
			at = close_of(&reader, at) - 1;
			continue;
		}
		if (is_sign(&reader, at, ',') || at + 1 == end) {
			if (at > begin)
				take_element(&reader, begin, at);
			begin = at + 1;
		}
	}
	return reader.out;
}
