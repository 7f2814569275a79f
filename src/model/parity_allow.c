/* Rules kept on this machine: see parity_allow.h. */
#include "model/parity_allow.h"

#include "doc/json.h"
#include "model/internal.h"

#include <stdio.h>

enum { WORDS_MAX = 256 << 10 };

static const char *const kind_names[] = {
	[RULE_SAME] = "same",	    [RULE_UNIQUE] = "unique",
	[RULE_RATIO] = "ratio",	    [RULE_MINOR] = "minor",
	[RULE_MAJOR] = "major",	    [RULE_ONE_OF] = "one_of",
	[RULE_PRESENT] = "present", [RULE_LIVE_ONLY_IN] = "live_only_in",
	[RULE_IGNORE] = "ignore",
};

static int words_json(const char *const *words, size_t count, const char *what, struct buf *out,
		      struct err *err)
{
	AUTO(json_free) json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_text(slice_of(words[i])));
	json_put(out, list);
	return buf_check(out, what, err);
}

/* A ratio stands as the one word, with six digits behind the point. */
static int rule_words(const struct rule *rule, struct buf *out, struct err *err)
{
	char ratio[32];
	const char *one = ratio;

	snprintf(ratio, sizeof(ratio), "%.6f", rule->ratio);
	if (rule->kind == RULE_RATIO)
		return words_json(&one, 1, "the rule", out, err);
	return words_json(rule->words, rule->word_count, "the words of the rule", out, err);
}

int parity_allow_put(struct db *db, const struct parity_allow *allow, int64_t *number_out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(buf_free) struct buf words = BUF_INIT(WORDS_MAX), environments = BUF_INIT(WORDS_MAX);
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	const struct rule *rule = &allow->rule;

	ASSERT(rule->kind >= RULE_SAME && rule->kind <= RULE_IGNORE);
	if (rule_words(rule, &words, err) ||
	    words_json(rule->environments, rule->environment_count, "the environments of the rule",
		       &environments, err) ||
	    db_query_bound(
		    db, &stmt,
		    "insert into parity_allow (project, fact, kind, words, environments, severity, owner, "
		    "reason,"
		    " until_ms, who, created_ms) values (:project, :fact, :kind, :words, :environments,"
		    " :severity, :owner, :reason, :until_ms, :who, :created_ms) returning number",
		    DB_BINDS(DB_STR(":project", allow->project),
			     DB_STR(":fact", model_clean(&arena, rule->fact, FACT_KEY_MAX)),
			     DB_STR(":kind",
				    model_name_of(kind_names, ARRAY_LEN(kind_names), (int)rule->kind)),
			     DB_STR(":words", buf_str(&words)),
			     DB_STR(":environments", buf_str(&environments)),
			     DB_STR(":severity",
				    rule->severity ? model_name_of(model_severity_names, model_severity_count,
								   (int)rule->severity)
						   : "none"),
			     CLEAN(&arena, ":owner", rule->owner), CLEAN(&arena, ":reason", rule->reason),
			     DB_INT(":until_ms", rule->until_ms), CLEAN(&arena, ":who", allow->who),
			     DB_INT(":created_ms", allow->created_ms)),
		    err))
		return -1;
	int got = db_step(stmt, err);
	if (got > 0)
		*number_out = db_column_int(stmt, "number");
	return got < 0 ? -1 : 0;
}

static int read_words(struct db_stmt *stmt, const char *column, struct arena *arena, const char *const **out,
		      size_t *count_out, struct err *err)
{
	AUTO(json_free) json_t *list = NULL;
	const char *text = db_column_text(stmt, column, arena);

	if (json_parse(slice_of(text), "a rule kept on this machine", WORDS_MAX, &list, err))
		return -1;
	const char **words = ARENA_NEW_ARRAY(arena, json_array_size(list), const char *);
	*count_out = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *word = json_string_value(json_array_get(list, i));
		if (word)
			words[(*count_out)++] = arena_strdup(arena, word);
	}
	*out = words;
	return 0;
}

/* The one word of a ratio, which we wrote: digits and a point. */
static double read_ratio(const struct rule *rule)
{
	unsigned whole = 0, millionths = 0;
	if (rule->word_count != 1 || sscanf(rule->words[0], "%1u.%6u", &whole, &millionths) != 2)
		return 1;
	return whole + millionths / 1e6;
}

static int read_allow(struct db_stmt *stmt, struct arena *arena, struct parity_allow *out, struct err *err)
{
	const char *kind = db_column_text(stmt, "kind", arena),
		   *severity = db_column_text(stmt, "severity", arena);
	*out = (struct parity_allow){
		.number = db_column_int(stmt, "number"),
		.project = db_column_text(stmt, "project", arena),
		.rule =
			{
				.fact = db_column_text(stmt, "fact", arena),
				.kind = (enum rule_kind)model_value_of(kind_names, ARRAY_LEN(kind_names),
								       kind),
				.severity = (enum severity)model_value_of(model_severity_names,
									  model_severity_count, severity),
				.owner = db_column_text(stmt, "owner", arena),
				.reason = db_column_text(stmt, "reason", arena),
				.until_ms = db_column_int(stmt, "until_ms"),
			},
		.who = db_column_text(stmt, "who", arena),
		.created_ms = db_column_int(stmt, "created_ms"),
	};
	struct rule *rule = &out->rule;
	rule->where = arena_printf(arena, "kept on this machine, number %lld", (long long)out->number);
	if (read_words(stmt, "words", arena, &rule->words, &rule->word_count, err) ||
	    read_words(stmt, "environments", arena, &rule->environments, &rule->environment_count, err))
		return -1;
	/* A newer program's kind must not become leave for everything. */
	if (!rule->kind)
		return err_set(err, ERR_CONFLICT,
			       "rule %lld kept on this machine is of a kind \"%s\" unknown here",
			       (long long)out->number, kind);
	if (rule->kind == RULE_RATIO) {
		rule->ratio = read_ratio(rule);
		rule->words = NULL;
		rule->word_count = 0;
	}
	return 0;
}

int parity_allow_list(struct db *db, struct arena *arena, const char *project, struct parity_allow_list *out,
		      struct err *err)
{
	AUTO(db_finish) struct db_stmt *stmt = NULL;
	int got;

	*out = (struct parity_allow_list){0};
	if (db_query_bound(
		    db, &stmt,
		    "select number, project, fact, kind, words, environments, severity, owner, reason,"
		    " until_ms, who, created_ms from parity_allow where project = :project order by number",
		    DB_BINDS(DB_STR(":project", project)), err))
		return -1;
	while ((got = db_step(stmt, err)) > 0)
		if (read_allow(stmt, arena, model_grow(arena, &out->items, &out->count, sizeof(*out->items)),
			       err))
			return -1;
	return got;
}

int parity_allow_remove(struct db *db, const char *project, int64_t number, struct err *err)
{
	if (db_exec_bound(db, "delete from parity_allow where project = :project and number = :number",
			  DB_BINDS(DB_STR(":project", project), DB_INT(":number", number)), err))
		return -1;
	if (db_changes(db) > 0)
		return 0;
	err_set(err, ERR_NOT_FOUND, "no rule %lld is kept on this machine for %s", (long long)number,
		project);
	return err_hint(err, "`lockstep allow list` shows them; those of lockstep.yml are removed there");
}
