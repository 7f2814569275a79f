/* Patterns that say which files of a tree stay out of a release: .deployignore
 * and `build.exclude`. Pure: no I/O.
 *
 * Two dialects, chosen by the first line:
 *
 *	DeployHQ (without it)        one rule a line, `#` comments. A rule is matched
 *	                             against the whole path; `*` and `?` stop at `/`,
 *	                             `**` does not. `vendor` leaves out only the entry
 *	                             of that name, not what is inside; `vendor/` and
 *	                             `vendor/` with two stars leave out what is inside.
 *	# lockstep: gitignore        git's rules: `!` takes back, `/` anchors, a final
 *	                             `/` means folders, `**`, last match wins, nothing
 *	                             inside an ignored folder can be taken back. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum {
	IGNORE_RULES_MAX = 10000,
	IGNORE_RULE_MAX = 4096,
	IGNORE_TEXT_MAX = 1 << 20,
};

enum ignore_dialect { IGNORE_DEPLOYHQ = 1, IGNORE_GIT };

struct ignore_rule {
	struct slice pattern; /* without `!`, leading and final `/` */
	bool negated, anchored, only_dirs, contents;
	uint32_t line; /* from 1 */
};

struct ignore_rules {
	enum ignore_dialect dialect;
	struct ignore_rule *rules;
	size_t count;
};

/* The text of a .deployignore; copied to the arena. */
int ignore_parse(struct arena *arena, struct slice text, struct ignore_rules *out, struct err *err) CHECKED;
/* From a list of patterns (build.exclude), in the dialect of git. */
int ignore_from_list(struct arena *arena, const char *const *patterns, size_t count, struct ignore_rules *out,
		     struct err *err) CHECKED;

/* Whether the entry `path` (relative, no leading `/`) stays out: by a rule of its
 * own or because a folder above it stays out. */
bool ignore_match(const struct ignore_rules *rules, struct slice path, bool is_dir);
/* The rule that decided, or NULL; its `negated` says which way. */
const struct ignore_rule *ignore_explain(const struct ignore_rules *rules, struct slice path, bool is_dir);
