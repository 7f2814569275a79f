/* Matching paths against rules. A path and a pattern are compared part by part,
 * so that no pattern can make it more than quadratic. */
#include "project/ignore.h"

/* ---- one part: *, ?, [...], \x ---- */

/* Reads a set at pattern[*at] (which is `[`); false when it has no end, and then
 * the `[` stands for itself. */
static bool match_set(struct slice pattern, size_t *at, char c, bool *matches)
{
	size_t i = *at + 1;
	bool negated = i < pattern.len && (pattern.ptr[i] == '!' || pattern.ptr[i] == '^');
	if (negated)
		i++;
	bool found = false, first = true;
	for (; i < pattern.len && (first || pattern.ptr[i] != ']'); i++, first = false) {
		if (pattern.ptr[i] == '\\' && i + 1 < pattern.len)
			i++;
		unsigned char low = (unsigned char)pattern.ptr[i], high = low;
		if (i + 2 < pattern.len && pattern.ptr[i + 1] == '-' && pattern.ptr[i + 2] != ']') {
			i += 2;
			if (pattern.ptr[i] == '\\' && i + 1 < pattern.len)
				i++;
			high = (unsigned char)pattern.ptr[i];
		}
		if ((unsigned char)c >= low && (unsigned char)c <= high)
			found = true;
	}
	if (i >= pattern.len)
		return false;
	*at = i + 1;
	*matches = found != negated;
	return true;
}

/* Matches one character of the text at pattern[*at] and moves on; `*` is not
 * seen here. */
static bool match_one(struct slice pattern, size_t *at, char c)
{
	bool matches;
	switch (pattern.ptr[*at]) {
	case '?':
		(*at)++;
		return true;
	case '[':
		if (match_set(pattern, at, c, &matches))
			return matches;
		break;
	case '\\':
		if (*at + 1 < pattern.len)
			(*at)++;
		break;
	default:
		break;
	}
	return pattern.ptr[(*at)++] == c;
}

static bool match_part(struct slice pattern, struct slice text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;
	while (t < text.len) {
		size_t next = p;
		if (p < pattern.len && pattern.ptr[p] == '*') {
			star = ++p;
			star_text = t;
		} else if (p < pattern.len && match_one(pattern, &next, text.ptr[t])) {
			p = next;
			t++;
		} else if (star != SIZE_MAX) {
			p = star;
			t = ++star_text;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

/* ---- whole paths: ** between slashes ---- */

static bool match_path(struct slice pattern, struct slice path)
{
	struct slice star_pattern = {0}, star_path = {0};
	bool star = false;
	while (path.ptr) {
		if (pattern.ptr) {
			struct slice next_pattern = pattern, next_path = path;
			struct slice part = slice_cut(&next_pattern, '/');
			struct slice text = slice_cut(&next_path, '/');
			if (slice_is(part, "**")) {
				if (!next_pattern.ptr)
					return true; /* the last part: everything inside */
				star = true;
				star_pattern = pattern = next_pattern;
				star_path = path;
				continue;
			}
			if (match_part(part, text)) {
				pattern = next_pattern;
				path = next_path;
				continue;
			}
		}
		if (!star)
			return false;
		slice_cut(&star_path, '/');
		pattern = star_pattern;
		path = star_path;
	}
	return !pattern.ptr;
}

static struct slice last_part(struct slice path)
{
	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/')
			return slice_skip(path, i);
	return path;
}

static bool rule_matches(const struct ignore_rule *rule, struct slice path, bool is_dir)
{
	if (rule->only_dirs && !is_dir)
		return false;
	return match_path(rule->pattern, rule->anchored ? path : last_part(path));
}

/* ---- the decision ---- */

static const struct ignore_rule *last_match(const struct ignore_rules *rules, struct slice path, bool is_dir)
{
	for (size_t i = rules->count; i > 0; i--)
		if (rule_matches(&rules->rules[i - 1], path, is_dir))
			return &rules->rules[i - 1];
	return NULL;
}

/* git: the first folder on the way that stays out decides; below it nothing can
 * be taken back. */
static const struct ignore_rule *explain_git(const struct ignore_rules *rules, struct slice path, bool is_dir)
{
	for (size_t i = 0; i < path.len; i++) {
		if (path.ptr[i] != '/')
			continue;
		const struct ignore_rule *rule = last_match(rules, slice_make(path.ptr, i), true);
		if (rule && !rule->negated)
			return rule;
	}
	return last_match(rules, path, is_dir);
}

/* DeployHQ: a folder's own entry can only stay out together with all it holds,
 * since a release lists the folders of its files. */
static const struct ignore_rule *explain_deployhq(const struct ignore_rules *rules, struct slice path,
						  bool is_dir)
{
	const struct ignore_rule *rule = last_match(rules, path, is_dir);
	if (!rule || rule->negated || !is_dir)
		return rule;
	char inside[IGNORE_RULE_MAX + 2];
	if (path.len > IGNORE_RULE_MAX)
		return NULL;
	memcpy(inside, path.ptr, path.len);
	memcpy(inside + path.len, "/x", 2);
	for (size_t i = rules->count; i > 0; i--) {
		const struct ignore_rule *other = &rules->rules[i - 1];
		if (other->negated)
			return NULL; /* something below may have been taken back */
		if (other->contents && rule_matches(other, slice_make(inside, path.len + 2), false))
			return rule;
	}
	return NULL;
}

const struct ignore_rule *ignore_explain(const struct ignore_rules *rules, struct slice path, bool is_dir)
{
	return rules->dialect == IGNORE_GIT ? explain_git(rules, path, is_dir)
					    : explain_deployhq(rules, path, is_dir);
}

bool ignore_match(const struct ignore_rules *rules, struct slice path, bool is_dir)
{
	const struct ignore_rule *rule = ignore_explain(rules, path, is_dir);
	return rule && !rule->negated;
}

/* ---- reading ---- */

/* White space at the end does not count, unless a backslash stands before it. */
static struct slice trim_end(struct slice line)
{
	while (line.len && (line.ptr[line.len - 1] == ' ' || line.ptr[line.len - 1] == '\t' ||
			    line.ptr[line.len - 1] == '\r')) {
		if (line.len > 1 && line.ptr[line.len - 2] == '\\')
			break;
		line.len--;
	}
	return line;
}

static bool add_rule(struct arena *arena, struct ignore_rules *rules, struct slice line, uint32_t number)
{
	struct ignore_rule rule = {.line = number};
	if (slice_starts_with(line, "!")) {
		rule.negated = true;
		line = slice_skip(line, 1);
	} else if (slice_starts_with(line, "\\!") || slice_starts_with(line, "\\#")) {
		line = slice_skip(line, 1);
	}
	bool folder = slice_ends_with(line, "/");
	while (slice_ends_with(line, "/"))
		line.len--;
	rule.anchored = slice_find(line, '/') >= 0 || rules->dialect == IGNORE_DEPLOYHQ;
	while (slice_starts_with(line, "./") && rules->dialect == IGNORE_DEPLOYHQ)
		line = slice_skip(line, 2);
	while (slice_starts_with(line, "/"))
		line = slice_skip(line, 1);
	if (!line.len)
		return false;
	rule.only_dirs = folder && rules->dialect == IGNORE_GIT;
	rule.contents = slice_is(line, "**") || slice_ends_with(line, "/**");
	rule.pattern = line;
	if (folder && rules->dialect == IGNORE_DEPLOYHQ && !rule.contents) {
		rule.contents = true;
		rule.pattern = slice_of(arena_printf(arena, "%.*s/**", SLICE_ARG(line)));
	}
	rules->rules[rules->count++] = rule;
	return true;
}

static int check_line(struct slice line, uint32_t number, struct err *err)
{
	if (line.len > IGNORE_RULE_MAX)
		return err_set(err, ERR_USER, "line %u: a rule longer than %d bytes", number,
			       IGNORE_RULE_MAX);
	if (slice_find(line, 0) >= 0)
		return err_set(err, ERR_USER, "line %u: a NUL byte: this is not a text", number);
	return 0;
}

int ignore_parse(struct arena *arena, struct slice text, struct ignore_rules *out, struct err *err)
{
	if (text.len > IGNORE_TEXT_MAX)
		return err_set(err, ERR_USER, "larger than %d bytes", IGNORE_TEXT_MAX);
	text = arena_slice(arena, text);
	if (slice_starts_with(text, "\xef\xbb\xbf"))
		text = slice_skip(text, 3);
	struct slice rest = text, first = slice_cut(&rest, '\n');
	struct ignore_rules rules = {.dialect = IGNORE_DEPLOYHQ};
	if (slice_is(slice_trim(first), "# lockstep: gitignore"))
		rules.dialect = IGNORE_GIT;

	size_t lines = 1;
	for (size_t i = 0; i < text.len; i++)
		lines += text.ptr[i] == '\n';
	rules.rules = ARENA_NEW_ARRAY(arena, MIN(lines, (size_t)IGNORE_RULES_MAX), struct ignore_rule);
	uint32_t number = 0;
	for (rest = text; rest.ptr;) {
		struct slice line = trim_end(slice_cut(&rest, '\n'));
		if (check_line(line, ++number, err))
			return -1;
		if (rules.dialect == IGNORE_DEPLOYHQ)
			line = slice_trim(line);
		if (!line.len || line.ptr[0] == '#')
			continue;
		if (rules.count == IGNORE_RULES_MAX)
			return err_set(err, ERR_USER, "more than %d rules", IGNORE_RULES_MAX);
		add_rule(arena, &rules, line, number);
	}
	*out = rules;
	return 0;
}

int ignore_from_list(struct arena *arena, const char *const *patterns, size_t count, struct ignore_rules *out,
		     struct err *err)
{
	if (count > IGNORE_RULES_MAX)
		return err_set(err, ERR_USER, "more than %d rules", IGNORE_RULES_MAX);
	struct ignore_rules rules = {.dialect = IGNORE_GIT};
	rules.rules = ARENA_NEW_ARRAY(arena, count, struct ignore_rule);
	for (size_t i = 0; i < count; i++) {
		struct slice line = slice_of(arena_strdup(arena, patterns[i]));
		if (check_line(line, (uint32_t)i + 1, err))
			return -1;
		if (!add_rule(arena, &rules, line, (uint32_t)i + 1))
			return err_set(err, ERR_USER, "`%s` is not a pattern", patterns[i]);
	}
	*out = rules;
	return 0;
}
