#include "introspect/sql_text.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

static bool is_word_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool token_is(const struct sql_token *token, const char *word)
{
	return token->kind == SQL_WORD && token->text.len == strlen(word) &&
	       strncasecmp(token->text.ptr, word, token->text.len) == 0;
}

static bool sign_is(const struct sql_token *token, char sign)
{
	return token->kind == SQL_SIGN && token->text.len == 1 && token->text.ptr[0] == sign;
}

/* --- splitting ------------------------------------------------------------------- */

/* The end of what a quote at the front opened; doubled quotes belong to it. */
static size_t quoted_len(struct slice text, char quote, bool escapes)
{
	for (size_t i = 1; i < text.len; i++) {
		if (escapes && text.ptr[i] == '\\')
			i++;
		else if (text.ptr[i] == quote && i + 1 < text.len && text.ptr[i + 1] == quote)
			i++;
		else if (text.ptr[i] == quote)
			return i + 1;
	}
	return text.len;
}

/* $tag$ ... $tag$; 0: none begins here. */
static size_t dollar_len(struct slice text)
{
	size_t tag = 1;

	while (tag < text.len && text.ptr[tag] != '$' && is_word_byte(text.ptr[tag]))
		tag++;
	if (tag >= text.len || text.ptr[tag] != '$' || (tag > 1 && isdigit((unsigned char)text.ptr[1])))
		return 0;
	tag++;
	const char *end = memmem(text.ptr + tag, text.len - tag, text.ptr, tag);
	return end ? (size_t)(end - text.ptr) + tag : text.len;
}

static size_t comment_len(enum sql_dialect dialect, struct slice text)
{
	bool line = slice_starts_with(text, "--") || (dialect == SQL_MYSQL && text.ptr[0] == '#');
	/* MySQL minds what stands in such a comment. */
	bool hint = dialect == SQL_MYSQL && text.len > 2 && (text.ptr[2] == '!' || text.ptr[2] == '+');

	if (line) {
		const char *end = memchr(text.ptr, '\n', text.len);
		return end ? (size_t)(end - text.ptr) + 1 : text.len;
	}
	if (!slice_starts_with(text, "/*") || hint)
		return 0;
	int depth = 0;
	for (size_t i = 0; i + 1 < text.len; i++) {
		if (text.ptr[i] == '/' && text.ptr[i + 1] == '*') {
			depth += depth == 0 || dialect == SQL_POSTGRESQL;
			i++;
		} else if (text.ptr[i] == '*' && text.ptr[i + 1] == '/') {
			i++;
			if (--depth == 0)
				return i + 1;
		}
	}
	return text.len;
}

/* An operator: as PostgreSQL reads them, a plus or minus at the end is the next one's
 * unless a sign stands before it that no SQL operator has. */
static size_t sign_len(struct slice text)
{
	static const char signs[] = "+-*/<>=~!@#%^&|`?";
	size_t len = 0;
	bool keeps = false;

	if (slice_starts_with(text, "::") || slice_starts_with(text, ":="))
		return 2;
	while (len < text.len && text.ptr[len] && strchr(signs, text.ptr[len])) {
		struct slice rest = slice_skip(text, len);
		if (len && (slice_starts_with(rest, "--") || slice_starts_with(rest, "/*")))
			break;
		keeps |= strchr("~!@#%^&|`?", text.ptr[len]) != NULL;
		len++;
	}
	while (len > 1 && !keeps && (text.ptr[len - 1] == '+' || text.ptr[len - 1] == '-'))
		len--;
	return MAX(len, (size_t)1);
}

static size_t number_len(struct slice text)
{
	size_t len = 0;

	while (len < text.len &&
	       (isalnum((unsigned char)text.ptr[len]) || text.ptr[len] == '.' ||
		((text.ptr[len] == '+' || text.ptr[len] == '-') && len && (text.ptr[len - 1] | 32) == 'e' &&
		 len + 1 < text.len && isdigit((unsigned char)text.ptr[len + 1]))))
		len++;
	return len;
}

static size_t word_len(struct slice text)
{
	size_t len = 0;

	while (len < text.len && is_word_byte(text.ptr[len]))
		len++;
	return len;
}

static struct sql_token token_at(enum sql_dialect dialect, struct slice text)
{
	struct sql_token token = {.kind = SQL_SIGN};
	char c = text.ptr[0], next = text.len > 1 ? text.ptr[1] : '\0';
	size_t len = 0;

	if (dialect == SQL_POSTGRESQL && c == '$' && (len = dollar_len(text))) {
		token.kind = SQL_STRING;
	} else if (c == '\'' || (c == '"' && dialect == SQL_MYSQL)) {
		token.kind = SQL_STRING;
		len = quoted_len(text, c, dialect == SQL_MYSQL);
	} else if ((c | 32) == 'e' && next == '\'' && dialect == SQL_POSTGRESQL) {
		token.kind = SQL_STRING;
		len = 1 + quoted_len(slice_skip(text, 1), '\'', true);
	} else if (c == '"' || (c == '`' && dialect != SQL_POSTGRESQL)) {
		token.kind = SQL_NAME;
		len = quoted_len(text, c, false);
	} else if (c == '[' && dialect == SQL_SQLITE) {
		const char *end = memchr(text.ptr, ']', text.len);
		token.kind = SQL_NAME;
		len = end ? (size_t)(end - text.ptr) + 1 : text.len;
	} else if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)next))) {
		token.kind = SQL_NUMBER;
		len = number_len(text);
	} else if (is_word_byte(c)) {
		token.kind = SQL_WORD;
		len = word_len(text);
	} else {
		len = sign_len(text);
	}
	token.text = slice_make(text.ptr, MIN(len, text.len));
	return token;
}

static void token_add(struct arena *arena, struct sql_tokens *tokens, size_t *cap, struct sql_token token)
{
	if (tokens->count == *cap) {
		struct sql_token *grown = ARENA_NEW_ARRAY(arena, *cap * 2, struct sql_token);
		memcpy(grown, tokens->items, tokens->count * sizeof(*grown));
		tokens->items = grown;
		*cap *= 2;
	}
	tokens->items[tokens->count++] = token;
}

struct sql_tokens sql_text_split(struct arena *arena, enum sql_dialect dialect, struct slice text)
{
	size_t cap = 64;
	struct sql_tokens tokens = {.items = ARENA_NEW_ARRAY(arena, cap, struct sql_token)};

	while (text.len) {
		size_t skip = isspace((unsigned char)text.ptr[0]) ? 1 : comment_len(dialect, text);
		if (skip) {
			text = slice_skip(text, skip);
			continue;
		}
		struct sql_token token = token_at(dialect, text);
		token_add(arena, &tokens, &cap, token);
		text = slice_skip(text, token.text.len);
	}
	return tokens;
}

/* --- changing -------------------------------------------------------------------- */

/* Is it this name, quoted or not? */
static bool names(const struct sql_token *token, struct slice name)
{
	struct slice text = token->text;

	if (token->kind == SQL_NAME && text.len >= 2)
		text = slice_make(text.ptr + 1, text.len - 2);
	else if (token->kind != SQL_WORD)
		return false;
	return slice_equal(text, name);
}

/* 'public.users_id_seq'::regclass → 'users_id_seq'::regclass */
static void drop_schema_in_string(struct arena *arena, struct sql_token *token, struct slice home)
{
	AUTO(buf_free) struct buf out = BUF_INIT(FILENAME_MAX + 64);
	struct slice inside = slice_make(token->text.ptr + 1, token->text.len - 2);
	size_t quote = inside.len && inside.ptr[0] == '"';

	if (inside.len <= home.len + 2 * quote || memcmp(inside.ptr + quote, home.ptr, home.len) != 0)
		return;
	struct slice rest = slice_skip(inside, home.len + quote);
	if ((quote && rest.ptr[0] != '"') || rest.len <= quote || rest.ptr[quote] != '.')
		return;
	rest = slice_skip(rest, quote + 1);
	buf_putc(&out, '\'');
	buf_put_slice(&out, rest);
	buf_putc(&out, '\'');
	if (!out.overflow)
		token->text = arena_slice(arena, buf_slice(&out));
}

void sql_text_drop_schema(struct arena *arena, struct sql_tokens *tokens, struct slice home)
{
	struct sql_token *items = tokens->items;
	size_t count = 0;

	for (size_t i = 0; i < tokens->count; i++) {
		bool first = count == 0 || !sign_is(&items[count - 1], '.');
		if (first && i + 2 < tokens->count && names(&items[i], home) && sign_is(&items[i + 1], '.') &&
		    (items[i + 2].kind == SQL_WORD || items[i + 2].kind == SQL_NAME)) {
			i++;
			continue;
		}
		if (items[i].kind == SQL_STRING && items[i].text.len > 2 && items[i].text.ptr[0] == '\'' &&
		    i + 2 < tokens->count && slice_is(items[i + 1].text, "::") &&
		    (token_is(&items[i + 2], "regclass") || token_is(&items[i + 2], "regproc")))
			drop_schema_in_string(arena, &items[i], home);
		items[count++] = items[i];
	}
	tokens->count = count;
}

/* Where the outermost SELECT's one FROM item ends, and its name; false: not one table. */
static bool only_item(const struct sql_tokens *tokens, struct slice *alias_out)
{
	static const char *const ends[] = {"WHERE", "GROUP",  "HAVING", "WINDOW", "ORDER",
					   "LIMIT", "OFFSET", "FETCH",	"FOR"};
	static const char *const sets[] = {"UNION", "INTERSECT", "EXCEPT", "JOIN"};
	const struct sql_token *last = NULL;
	bool inside = false, ended = false;
	int depth = 0, items = 0;

	for (size_t i = 0; i < tokens->count; i++) {
		const struct sql_token *token = &tokens->items[i];
		depth += sign_is(token, '(') - sign_is(token, ')');
		if (depth > 0 && inside && !ended && sign_is(token, '(') && depth == 1 &&
		    i + 1 < tokens->count && token_is(&tokens->items[i - 1], "FROM") &&
		    !token_is(&tokens->items[i + 1], "SELECT") && !token_is(&tokens->items[i + 1], "WITH") &&
		    !token_is(&tokens->items[i + 1], "VALUES"))
			return false; /* FROM (a JOIN b …) */
		if (depth > 0)
			continue;
		for (size_t k = 0; k < ARRAY_LEN(sets); k++)
			if (token_is(token, sets[k]))
				return false;
		for (size_t k = 0; k < ARRAY_LEN(ends); k++)
			ended |= inside && token_is(token, ends[k]);
		if (token_is(token, "FROM") && !inside) {
			inside = true;
			items = 1;
		} else if (inside && !ended) {
			items += sign_is(token, ',');
			if (token->kind == SQL_WORD || token->kind == SQL_NAME)
				last = token;
		}
	}
	if (items != 1 || !last)
		return false;
	*alias_out = last->text;
	return true;
}

void sql_text_drop_only_table(struct sql_tokens *tokens)
{
	struct sql_token *items = tokens->items;
	struct slice alias;
	size_t count = 0;
	int nested = 0; /* parentheses open since a nested SELECT began */

	if (!only_item(tokens, &alias))
		return;
	for (size_t i = 0; i < tokens->count; i++) {
		if (sign_is(&items[i], '(') &&
		    (nested || (i + 1 < tokens->count &&
				(token_is(&items[i + 1], "SELECT") || token_is(&items[i + 1], "WITH") ||
				 token_is(&items[i + 1], "VALUES")))))
			nested++;
		else if (nested && sign_is(&items[i], ')'))
			nested--;
		bool first = count == 0 || !sign_is(&items[count - 1], '.');
		if (!nested && first && i + 2 < tokens->count && slice_equal(items[i].text, alias) &&
		    sign_is(&items[i + 1], '.') &&
		    (items[i + 2].kind == SQL_WORD || items[i + 2].kind == SQL_NAME)) {
			i++;
			continue;
		}
		items[count++] = items[i];
	}
	tokens->count = count;
}

/* --- putting together --------------------------------------------------------------- */

/* A parenthesis stands apart from these, and close to the name of a function. */
static bool stands_apart(const struct sql_token *token)
{
	static const char *const words[] = {"check",  "key",   "unique", "in",	    "and",     "or",
					    "not",    "as",    "values", "on",	    "using",   "over",
					    "filter", "where", "when",	 "then",    "else",    "case",
					    "select", "from",  "join",	 "exists",  "exclude", "with",
					    "having", "by",    "return", "distinct"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (token_is(token, words[i]))
			return true;
	return false;
}

static bool space_between(const struct sql_token *left, const struct sql_token *right)
{
	if (sign_is(left, '(') || sign_is(left, '[') || sign_is(left, '.') || slice_is(left->text, "::"))
		return false;
	if (sign_is(right, ')') || sign_is(right, ']') || sign_is(right, '[') || sign_is(right, ',') ||
	    sign_is(right, ';') || sign_is(right, '.') || slice_is(right->text, "::"))
		return false;
	if (sign_is(right, '('))
		return (left->kind != SQL_WORD && left->kind != SQL_NAME) || stands_apart(left);
	return true;
}

void sql_text_put(struct buf *out, const struct sql_tokens *tokens)
{
	for (size_t i = 0; i < tokens->count; i++) {
		if (i && space_between(&tokens->items[i - 1], &tokens->items[i]))
			buf_putc(out, ' ');
		buf_put_slice(out, tokens->items[i].text);
	}
}
