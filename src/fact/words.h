/* How findings are put into words. Only for src/fact. */
#pragma once

#include "fact/finding.h"

/* What one server has, in a few words: a value, "missing", "not checked: why". */
const char *words_cell(struct arena *arena, const struct compare_input *input, const struct compare_row *row,
		       size_t column);
/* "staging", "dev and staging", "a, b, c and 4 more": environments whose cell is in the state
 * (or, with `without`, has no fact); "" when there are none. */
const char *words_environments(struct arena *arena, const struct compare_input *input,
			       const struct compare_row *row, enum cell_state state);
/* What a key is about: "SENTRY_DSN", "app/Pay.php", "mode of app/Pay.php", "runtime/php/ext/intl". */
const char *words_key(struct arena *arena, const char *key);
/* One sentence on what is the case. */
const char *words_row(struct arena *arena, const struct compare_input *input, const struct compare_row *row,
		      enum finding_kind kind, enum finding_direction direction);
/* The advice with {key}, {subject}, {attribute} and {environment} filled in; NULL gives "". */
const char *words_advice(struct arena *arena, const char *text, const char *key, const char *environment);
/* "3 Nov 14:02 UTC" of "2026-11-03T14:02:11Z", with the year when it is not this one. */
const char *words_time(struct arena *arena, struct slice iso, int64_t now_ms);
/* A text of at most some hundred bytes, cut at a character. */
const char *words_cut(struct arena *arena, struct slice text);
