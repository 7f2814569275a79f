/* Rules by name, and finding those that match a key. What a rule demands of values is
 * judged in compare.c; which rules are shipped stands in policy.c. */
#include "fact/rule.h"

#include <stdlib.h>

static const char *const kind_names[] = {
	[RULE_SAME] = "same",
	[RULE_UNIQUE] = "unique",
	[RULE_RATIO] = "ratio",
	[RULE_MINOR] = "minor",
	[RULE_MAJOR] = "major",
	[RULE_ONE_OF] = "one_of",
	[RULE_LIVE_ONLY_IN] = "live_only_in",
	[RULE_PRESENT] = "present",
	[RULE_IGNORE] = "ignore",
	[RULE_AT_LEAST] = "at_least",
};

const char *rule_kind_name(enum rule_kind kind)
{
	return (size_t)kind < ARRAY_LEN(kind_names) ? kind_names[kind] : NULL;
}

static const char *const severity_names[] = {
	[SEVERITY_NONE] = "none", [SEVERITY_LOW] = "low",	    [SEVERITY_MEDIUM] = "medium",
	[SEVERITY_HIGH] = "high", [SEVERITY_CRITICAL] = "critical",
};

const char *severity_name(enum severity severity)
{
	return (size_t)severity < ARRAY_LEN(severity_names) ? severity_names[severity] : "none";
}

enum severity severity_parse(struct slice name)
{
	for (size_t i = SEVERITY_LOW; i < ARRAY_LEN(severity_names); i++)
		if (slice_is(name, severity_names[i]))
			return (enum severity)i;
	return SEVERITY_NONE;
}

struct slice rule_literal(const char *pattern)
{
	return slice_make(pattern, strcspn(pattern, "*?[\\"));
}

bool rule_covers(const struct rule *rule, const char *environment)
{
	for (size_t i = 0; i < rule->environment_count; i++)
		if (strcmp(rule->environments[i], environment) == 0)
			return true;
	return rule->environment_count == 0;
}

/* Most patterns are a beginning, one '*' and perhaps an end; only the others are globbed. */
struct pattern {
	const struct rule *rule;
	struct slice whole, begin, end;
	enum { EXACT, BEGIN_END, GLOB } form;
};

static void compile(struct pattern *pattern, const struct rule *rule)
{
	struct slice whole = slice_of(rule->fact), begin = rule_literal(rule->fact);

	*pattern = (struct pattern){.rule = rule, .whole = whole, .begin = begin, .form = GLOB};
	if (begin.len == whole.len) {
		pattern->form = EXACT;
	} else if (whole.ptr[begin.len] == '*') {
		struct slice end = slice_skip(whole, begin.len + 1);
		if (rule_literal(end.ptr).len == end.len) {
			pattern->form = BEGIN_END;
			pattern->end = end;
		}
	}
}

static inline bool begins(struct slice key, struct slice with)
{
	return key.len >= with.len && memcmp(key.ptr, with.ptr, with.len) == 0;
}

static bool matches(const struct pattern *pattern, struct slice key)
{
	if (!begins(key, pattern->begin))
		return false;
	switch (pattern->form) {
	case EXACT:
		return key.len == pattern->whole.len;
	case BEGIN_END:
		return key.len >= pattern->begin.len + pattern->end.len &&
		       memcmp(key.ptr + key.len - pattern->end.len, pattern->end.ptr, pattern->end.len) == 0;
	case GLOB:
		break;
	}
	return slice_glob_match(pattern->whole, key);
}

/* Patterns that a key of one dimension can match, the last rule first. */
struct patterns {
	struct pattern *items;
	size_t count;
};

struct bucket {
	struct slice dimension; /* empty: all those no pattern names */
	struct patterns policy, own, lapsed;
	bool demands;
};

struct rule_book {
	struct arena arena;
	const struct rule *own;
	size_t own_count;
	struct bucket *buckets; /* the last one is that of all other dimensions */
	size_t bucket_count;
};

/* The dimension a pattern is bound to; empty when a wildcard stands in it. */
static struct slice dimension_of(const struct rule *rule)
{
	struct slice begin = rule_literal(rule->fact);
	ptrdiff_t slash = slice_find(begin, '/');

	return slice_make(begin.ptr, slash < 0 ? 0 : (size_t)slash);
}

static bool breakable_when_equal(const struct rule *rule)
{
	return rule->kind == RULE_UNIQUE || rule->kind == RULE_ONE_OF || rule->kind == RULE_LIVE_ONLY_IN ||
	       rule->kind == RULE_AT_LEAST;
}

static void take_matching(struct arena *arena, struct patterns *out, struct slice dimension,
			  const struct rule *rules, size_t count, int lapsed_at, int64_t now_ms)
{
	out->items = ARENA_NEW_ARRAY(arena, count, struct pattern);
	for (size_t i = count; i-- > 0;) {
		struct slice bound = dimension_of(&rules[i]);
		bool lapsed = rules[i].until_ms && rules[i].until_ms <= now_ms;
		if ((bound.len == 0 || slice_equal(bound, dimension)) && lapsed == lapsed_at)
			compile(&out->items[out->count++], &rules[i]);
	}
}

static void add_dimensions(struct rule_book *book, const struct rule *rules, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct slice dimension = dimension_of(&rules[i]);
		bool known = dimension.len == 0;
		for (size_t k = 0; k < book->bucket_count && !known; k++)
			known = slice_equal(book->buckets[k].dimension, dimension);
		if (!known)
			book->buckets[book->bucket_count++].dimension = dimension;
	}
}

struct rule_book *rule_book_new(const struct rule *own, size_t own_count, int64_t now_ms)
{
	struct rule_book *book = mem_alloc(sizeof(*book));

	book->own = own;
	book->own_count = own_count;
	book->buckets = ARENA_NEW_ARRAY(&book->arena, own_count + policy_rule_count + 1, struct bucket);
	add_dimensions(book, policy_rules, policy_rule_count);
	add_dimensions(book, own, own_count);
	book->bucket_count++;
	for (size_t i = 0; i < book->bucket_count; i++) {
		struct bucket *bucket = &book->buckets[i];
		struct slice dimension = bucket->dimension;
		take_matching(&book->arena, &bucket->policy, dimension, policy_rules, policy_rule_count,
			      false, 0);
		take_matching(&book->arena, &bucket->own, dimension, own, own_count, false, now_ms);
		take_matching(&book->arena, &bucket->lapsed, dimension, own, own_count, true, now_ms);
		for (size_t k = 0; k < bucket->policy.count; k++)
			bucket->demands |= breakable_when_equal(bucket->policy.items[k].rule);
		for (size_t k = 0; k < bucket->own.count; k++)
			bucket->demands |= breakable_when_equal(bucket->own.items[k].rule);
	}
	return book;
}

void rule_book_free(struct rule_book **book)
{
	if (*book) {
		arena_free(&(*book)->arena);
		free(*book);
	}
	*book = NULL;
}

static const struct bucket *bucket_of(const struct rule_book *book, struct slice key)
{
	struct slice dimension = fact_dimension(key);

	for (size_t i = 0; i + 1 < book->bucket_count; i++)
		if (slice_equal(book->buckets[i].dimension, dimension))
			return &book->buckets[i];
	return &book->buckets[book->bucket_count - 1];
}

static const struct rule *first_match(const struct patterns *patterns, struct slice key)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (matches(&patterns->items[i], key))
			return patterns->items[i].rule;
	return NULL;
}

const struct rule *rule_book_policy(const struct rule_book *book, struct slice key)
{
	const struct rule *rule = first_match(&bucket_of(book, key)->policy, key);

	/* The first row takes every key. */
	return rule ? rule : &policy_rules[0];
}

const struct rule *rule_book_own(const struct rule_book *book, struct slice key)
{
	return first_match(&bucket_of(book, key)->own, key);
}

size_t rule_book_own_all(const struct rule_book *book, struct slice key, const struct rule **out, size_t max)
{
	const struct patterns *patterns = &bucket_of(book, key)->own;
	size_t count = 0;

	for (size_t i = 0; i < patterns->count && count < max; i++)
		if (matches(&patterns->items[i], key))
			out[count++] = patterns->items[i].rule;
	return count;
}

const struct rule *rule_book_lapsed(const struct rule_book *book, struct slice key)
{
	return first_match(&bucket_of(book, key)->lapsed, key);
}

bool rule_book_demands(const struct rule_book *book, struct slice key)
{
	const struct bucket *bucket = bucket_of(book, key);

	if (!bucket->demands)
		return false;
	for (size_t i = 0; i < bucket->own.count; i++)
		if (breakable_when_equal(bucket->own.items[i].rule) && matches(&bucket->own.items[i], key))
			return true;
	const struct rule *policy = first_match(&bucket->policy, key);
	return policy && breakable_when_equal(policy);
}

size_t rule_book_own_count(const struct rule_book *book)
{
	return book->own_count;
}

const struct rule *rule_book_own_at(const struct rule_book *book, size_t index)
{
	return &book->own[index];
}
