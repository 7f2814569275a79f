/* From rows to findings: what is left for people, gathered so that one cause is one finding.
 * What differs, and whether it may, is compare.c's; the words are words.c's; the order is
 * rank.c's. */
#include "fact/gather.h"

#include <stdlib.h>

const char *finding_kind_name(enum finding_kind kind)
{
	static const char *const names[] = {
		[FINDING_DRIFT] = "drift",
		[FINDING_WITHIN] = "within",
		[FINDING_LAPSED] = "lapsed",
		[FINDING_UNNEEDED] = "unneeded",
		[FINDING_HAND_CHANGE] = "hand_change",
		[FINDING_NOT_DEPLOYED] = "not_deployed",
	};
	return (size_t)kind < ARRAY_LEN(names) ? names[kind] : NULL;
}

/* --- drafts of one row --------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 1099511628211u;
}

/* Equal where the same columns lack it, and where the same environments are in one state. */
static uint64_t pattern_of(const struct compare_input *input, const struct compare_row *row)
{
	uint64_t hash = 1469598103934665603u;

	for (size_t e = 0; e < input->environment_count; e++)
		hash = mix(hash, (uint64_t)row->environments[e].state + 1);
	for (size_t i = 0; i < input->column_count; i++)
		if (row->cells[i].state == CELL_MISSING)
			hash = mix(hash, i + 100);
	return hash;
}

/* How much of the key is missing with all below it: the shortest beginning of two parts at
 * least that no column which lacks the fact knows anything of. A table without any index is
 * told of each index it lacks, by its name. */
static size_t root_of(const struct compare_input *input, const struct compare_row *row)
{
	size_t known = 0, parts = 0;
	bool missing = false, schema = slice_starts_with(row->key, "db/");

	for (size_t i = 0; i < input->column_count; i++) {
		if (row->cells[i].state != CELL_MISSING)
			continue;
		missing = true;
		known = MAX(known, row->cells[i].known);
	}
	for (size_t i = 0; missing && i < row->key.len; i++)
		if (row->key.ptr[i] == '/' && ++parts >= 2 && i + 1 > known && !(schema && parts == 5))
			return i + 1;
	return 0;
}

/* One cell an environment where its servers agree, else one a server. */
static void put_cells(struct arena *arena, const struct compare_input *input, const struct compare_row *row,
		      struct finding *finding)
{
	struct finding_cell *cells =
		ARENA_NEW_ARRAY(arena, MIN(input->column_count, (size_t)CELLS_MAX), struct finding_cell);
	size_t count = 0;

	for (size_t i = 0, end; i < input->column_count && count < CELLS_MAX; i = end) {
		size_t environment = input->columns[i].environment;
		const char *first = words_cell(arena, input, row, i);
		bool alike = true;
		for (end = i + 1; end < input->column_count && input->columns[end].environment == environment;
		     end++)
			alike &= strcmp(first, words_cell(arena, input, row, end)) == 0;
		for (size_t k = i; k < (alike ? i + 1 : end) && count < CELLS_MAX; k++)
			cells[count++] = (struct finding_cell){
				.environment = input->environments[environment],
				.server = alike ? NULL : input->columns[k].server,
				.text = alike ? first : words_cell(arena, input, row, k),
				.state = alike ? row->environments[environment].state : row->cells[k].state,
			};
	}
	finding->cells = cells;
	finding->cell_count = count;
}

static enum finding_direction direction_of(const struct compare_input *input, const struct compare_row *row)
{
	for (size_t e = 0; e < input->environment_count; e++)
		if (e != input->reference && row->environments[e].state == CELL_MISSING)
			return FINDING_REFERENCE_HAS;
	return row->environments[input->reference].state == CELL_MISSING ? FINDING_REFERENCE_LACKS
									 : FINDING_DIFFERS;
}

/* The environment that is to be changed: the first that lacks it, else the first that
 * differs. */
static const char *to_change(const struct compare_input *input, const struct compare_row *row)
{
	for (size_t e = 0; e < input->environment_count; e++)
		if (row->environments[e].state == CELL_MISSING)
			return input->environments[e];
	for (size_t e = 0; e < input->environment_count; e++)
		if (row->environments[e].state == CELL_DRIFT)
			return input->environments[e];
	return input->environments[input->reference];
}

/* Whether environments differ, not only servers of one: some environment has no server that
 * is as it must be. */
static bool is_between(const struct compare_input *input, const struct compare_row *row)
{
	for (size_t i = 0, end; i < input->column_count; i = end) {
		size_t environment = input->columns[i].environment;
		bool breach = false, fine = false;
		for (end = i; end < input->column_count && input->columns[end].environment == environment;
		     end++) {
			breach |=
				row->cells[end].state == CELL_DRIFT || row->cells[end].state == CELL_MISSING;
			fine |= row->cells[end].state == CELL_SAME || row->cells[end].state == CELL_ALLOWED;
		}
		if (breach && !fine)
			return true;
	}
	return false;
}

static struct draft *window_draft(struct window *window)
{
	if (window->draft_count == window->draft_cap) {
		window->draft_cap = MAX(window->draft_cap * 2, (size_t)8);
		window->drafts = mem_grow(window->drafts, window->draft_cap, sizeof(*window->drafts));
	}
	return &window->drafts[window->draft_count++];
}

/* The policy's words, but where it would have let it pass: then the project's own rule's. */
static const char *why_it_matters(struct arena *arena, const struct compare_row *row)
{
	const struct rule *rule = row->rule;

	if (rule->text)
		return rule->text;
	if (row->policy->kind != RULE_IGNORE && row->policy->text)
		return row->policy->text;
	return arena_printf(arena, "The project demands `%s` of it%s%s%s%s.", rule_kind_name(rule->kind),
			    rule->where ? " in " : "", rule->where ? rule->where : "",
			    rule->reason ? ": " : "", rule->reason ? rule->reason : "");
}

static void draft_row(struct gatherer *gatherer, const struct compare_row *row)
{
	struct arena *arena = &gatherer->window.arena;
	const struct compare_input *input = gatherer->input;
	const struct rule *lapsed = rule_book_lapsed(input->rules, row->key);
	enum finding_kind kind = lapsed			  ? FINDING_LAPSED
				 : is_between(input, row) ? FINDING_DRIFT
				 : row->within		  ? FINDING_WITHIN
							  : FINDING_DRIFT;
	enum finding_direction direction = direction_of(input, row);
	struct draft *draft = window_draft(&gatherer->window);

	*draft = (struct draft){
		.finding = {.kind = kind,
			    .key = arena_str(arena, row->key),
			    .severity = row->severity,
			    .direction = direction,
			    .rule = lapsed ? lapsed : row->rule,
			    .cause = ""},
		.sentence = words_row(arena, input, row, kind, direction),
		.why_it_matters = why_it_matters(arena, row),
		.advice = row->rule->advice ? row->rule->advice : row->policy->advice,
		.environment = to_change(input, row),
		.pattern = pattern_of(input, row),
		.missing = row->state == CELL_MISSING,
	};
	if (lapsed && lapsed->severity)
		draft->finding.severity = lapsed->severity;
	if (kind != FINDING_LAPSED)
		draft->root = root_of(input, row);
	put_cells(arena, input, row, &draft->finding);
}

/* --- causes ----------------------------------------------------------------------------------- */

/* Shown elsewhere, or different for no reason. */
static bool says_nothing(struct slice attribute)
{
	static const char *const silent[] = {"kept",   "position", "exact",	 "available",
					     "device", "free",	   "free_files", "load"};

	for (size_t i = 0; i < ARRAY_LEN(silent); i++)
		if (slice_is(attribute, silent[i]))
			return true;
	return false;
}

static void note_evidence(struct gatherer *gatherer, const struct compare_row *row)
{
	struct window *window = &gatherer->window;
	size_t columns = gatherer->input->column_count;

	if (slice_is(row->key, "file/./put_by")) {
		for (size_t i = 0; i < columns; i++)
			if (row->cells[i].fact)
				gatherer->put_by[i] = words_cell(gatherer->arena, gatherer->input, row, i);
		return;
	}
	if (slice_is(row->key, "file/./times")) {
		for (size_t i = 0; i < columns; i++)
			gatherer->untimed[i] = row->cells[i].fact;
		return;
	}
	if (window->evidence_count == EVIDENCE_MAX || says_nothing(fact_attribute(row->key)))
		return;
	struct evidence *evidence = &window->evidence[window->evidence_count++];
	evidence->attribute = arena_str(&window->arena, fact_attribute(row->key));
	evidence->texts = ARENA_NEW_ARRAY(&window->arena, columns, const char *);
	bool is_time = strcmp(evidence->attribute, "modified") == 0;
	for (size_t i = 0; i < columns; i++)
		if (row->cells[i].fact)
			evidence->texts[i] = is_time ? words_time(&window->arena, row->cells[i].fact->value,
								  gatherer->input->now_ms)
						     : words_cell(&window->arena, gatherer->input, row, i);
}

/* How an attribute is said; the others by their name. */
static const struct {
	const char *attribute, *said;
} attributes[] = {
	{"edited", ""},
	{"modified", "changed "},
	{"edited_by", "edited by "},
	{"owner_name", "owner "},
	{"shown", ""},
	{"upgraded", "upgraded "},
	{"installed", "installed "},
	{"package", "of package "},
	{"process", "by "},
};

static const char *said_of(const char *attribute)
{
	for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
		if (strcmp(attributes[i].attribute, attribute) == 0)
			return attributes[i].said;
	return NULL;
}

static const char *evidence_of(const struct window *window, const char *attribute, size_t column)
{
	for (size_t i = 0; i < window->evidence_count; i++)
		if (strcmp(window->evidence[i].attribute, attribute) == 0)
			return window->evidence[i].texts[column];
	return NULL;
}

/* What was edited says itself when. */
static void drop_times_of_edits(struct window *window, size_t columns)
{
	for (size_t i = 0; i < window->evidence_count; i++)
		for (size_t k = 0; k < columns; k++)
			if (strcmp(window->evidence[i].attribute, "modified") == 0 &&
			    evidence_of(window, "edited", k))
				window->evidence[i].texts[k] = NULL;
}

static bool is_told_before(const struct evidence *evidence, size_t column)
{
	for (size_t i = 0; i < column; i++)
		if (evidence->texts[i] && strcmp(evidence->texts[i], evidence->texts[column]) == 0)
			return true;
	return false;
}

static void put_evidence(struct gatherer *gatherer, const struct evidence *evidence, struct buf *out)
{
	const struct compare_input *input = gatherer->input;
	const char *said = said_of(evidence->attribute);
	size_t columns = MIN(input->column_count, (size_t)CELLS_MAX), distinct = 0;

	for (size_t i = 0; i < columns; i++)
		distinct += evidence->texts[i] && !is_told_before(evidence, i);
	for (size_t i = 0; i < columns && out->len < CAUSE_MAX - 400; i++) {
		if (!evidence->texts[i] || is_told_before(evidence, i))
			continue;
		buf_puts(out, out->len ? "; " : "");
		buf_printf(out, "%s%s%s", said ? said : evidence->attribute, said ? "" : " ",
			   evidence->texts[i]);
		bool everywhere = distinct == 1;
		for (size_t k = 0; k < columns; k++)
			everywhere &= evidence->texts[k] != NULL;
		if (!everywhere && !input->sides)
			buf_printf(out, " (%s)", input->environments[input->columns[i].environment]);
	}
}

/* What somebody did by hand is told first. */
static const char *cause_of(struct gatherer *gatherer)
{
	AUTO(buf_free) struct buf out = BUF_INIT(CAUSE_MAX);
	const struct window *window = &gatherer->window;

	for (int hand = 1; hand >= 0; hand--)
		for (size_t i = 0; i < window->evidence_count; i++) {
			const char *attribute = window->evidence[i].attribute;
			bool by_hand = strncmp(attribute, "edited", 6) == 0;
			if (by_hand == hand)
				put_evidence(gatherer, &window->evidence[i], &out);
		}
	return arena_str(&gatherer->window.arena, buf_slice(&out));
}

/* "as in git", "edited 3 Nov 14:02 UTC, owner deploy": people know more of that than of a
 * digest. */
static const char *state_of_file(struct gatherer *gatherer, size_t column)
{
	struct window *window = &gatherer->window;
	const char *edited = evidence_of(window, "edited", column);
	const char *modified = evidence_of(window, "modified", column), *by = gatherer->put_by[column];

	if (edited)
		return arena_str(&window->arena, slice_make(edited, strcspn(edited, ";")));
	if (modified)
		return arena_printf(&window->arena, "of %s", modified);
	if (!by)
		return gatherer->input->sides ? "as declared" : NULL;
	if (strcmp(by, "git") != 0)
		return "as deployed";
	/* Git does not have all that lies in a checkout: what it lacks is known by its time. */
	return gatherer->untimed[column] ? NULL : "as in git";
}

static size_t column_of(const struct compare_input *input, const struct finding_cell *cell)
{
	for (size_t i = 0; i < input->column_count; i++)
		if (strcmp(input->environments[input->columns[i].environment], cell->environment) == 0 &&
		    (!cell->server || strcmp(input->columns[i].server, cell->server) == 0))
			return i;
	return SIZE_MAX;
}

/* Only where these words tell the cells apart as well as their values do. */
static void put_states_of_files(struct gatherer *gatherer, struct finding *finding)
{
	struct finding_cell *cells =
		ARENA_NEW_ARRAY(&gatherer->window.arena, finding->cell_count, struct finding_cell);
	struct slice key = slice_of(finding->key);

	if (!slice_is(fact_dimension(key), "file") || !slice_is(fact_attribute(key), "content"))
		return;
	for (size_t i = 0; i < finding->cell_count; i++) {
		size_t column = column_of(gatherer->input, &finding->cells[i]);
		bool has = finding->cells[i].state != CELL_MISSING &&
			   finding->cells[i].state != CELL_NOT_CHECKED &&
			   finding->cells[i].state != CELL_STALE;
		cells[i] = finding->cells[i];
		const char *state = has && column != SIZE_MAX ? state_of_file(gatherer, column) : NULL;
		if (has && !state)
			return;
		cells[i].text = state ? state : cells[i].text;
		for (size_t k = 0; k < i; k++)
			if ((strcmp(cells[k].text, cells[i].text) == 0) !=
			    (strcmp(finding->cells[k].text, finding->cells[i].text) == 0))
				return;
	}
	finding->cells = cells;
}

/* A place ("deploy@stg:/var/www", ".") is no environment, whoever deployed to it. */
static bool is_deployed_by_us(const struct gatherer *gatherer, size_t column)
{
	const struct compare_input *input = gatherer->input;
	const char *by = gatherer->put_by[column];

	return by && strcmp(by, "lockstep") == 0 &&
	       !strpbrk(input->environments[input->columns[column].environment], ":/.");
}

static void attach_evidence(struct gatherer *gatherer, struct draft *draft, const char *cause)
{
	const struct window *window = &gatherer->window;

	draft->finding.cause = cause;
	put_states_of_files(gatherer, &draft->finding);
	for (size_t i = 0; i < window->evidence_count; i++) {
		const struct evidence *evidence = &window->evidence[i];
		bool by_hand = strncmp(evidence->attribute, "edited", 6) == 0;
		draft->by_hand |= by_hand;
		for (size_t k = 0; k < gatherer->input->column_count; k++) {
			draft->ours |= by_hand && evidence->texts[k] && is_deployed_by_us(gatherer, k);
			if (!draft->package && strcmp(evidence->attribute, "package") == 0)
				draft->package = evidence->texts[k];
		}
	}
}

/* --- folding while gathering ---------------------------------------------------------------- */

void draft_take_in(struct draft *draft, const struct draft *more)
{
	draft->finding.folded += 1 + more->finding.folded;
	if (more->finding.severity > draft->finding.severity) {
		draft->finding.severity = more->finding.severity;
		draft->finding.rule = more->finding.rule;
		draft->why_it_matters = more->why_it_matters;
		draft->advice = more->advice;
	}
}

/* The same where `kept` is told at the end: what came from the window does not live so long. */
static void kept_take_in(struct gatherer *gatherer, struct draft *kept, const struct draft *draft)
{
	const char *before = kept->why_it_matters;

	draft_take_in(kept, draft);
	if (kept->why_it_matters != before)
		kept->why_it_matters = arena_strdup(gatherer->arena, kept->why_it_matters);
}

static const struct finding_cell *copy_cells(struct arena *arena, const struct finding *finding)
{
	struct finding_cell *cells = ARENA_NEW_ARRAY(arena, finding->cell_count, struct finding_cell);

	for (size_t i = 0; i < finding->cell_count; i++) {
		cells[i] = finding->cells[i];
		cells[i].text = arena_strdup(arena, cells[i].text);
	}
	return cells;
}

static size_t shared_length(const char *a, const char *b)
{
	size_t len = 0;

	while (a[len] && a[len] == b[len])
		len++;
	return len;
}

/* Another row of a tree that is missing as a whole. */
static bool fold_tree(struct gatherer *gatherer, const struct draft *draft)
{
	for (size_t i = 0; i < gatherer->root_count && draft->root; i++) {
		struct draft *tree = &gatherer->drafts[gatherer->roots[i]];
		if (tree->root != draft->root || tree->pattern != draft->pattern ||
		    tree->finding.kind != draft->finding.kind ||
		    memcmp(tree->finding.key, draft->finding.key, draft->root) != 0)
			continue;
		kept_take_in(gatherer, tree, draft);
		tree->shared = MIN(tree->shared, shared_length(tree->finding.key, draft->finding.key));
		/* Of a package or an extension the version is what tells most. */
		if (slice_is(fact_attribute(slice_of(draft->finding.key)), "version"))
			tree->finding.cells = copy_cells(gatherer->arena, &draft->finding);
		return true;
	}
	return false;
}

static void remember_root(struct gatherer *gatherer, size_t place)
{
	if (!gatherer->drafts[place].root)
		return;
	if (gatherer->root_count == ROOTS_OPEN)
		memmove(gatherer->roots, gatherer->roots + 1,
			--gatherer->root_count * sizeof(gatherer->roots[0]));
	gatherer->roots[gatherer->root_count++] = place;
}

size_t draft_crowd_limit(const char *dimension)
{
	return strcmp(dimension, "file") == 0 || strcmp(dimension, "pkg") == 0 ? FINDING_CROWD
									       : CROWD_ELSEWHERE;
}

/* NULL: it is no one's, or there is no room to count one more. What a package is to tell
 * stays by itself until its finding is known. */
static struct crowd *crowd_of(struct gatherer *gatherer, const struct draft *draft)
{
	struct slice dimension = fact_dimension(slice_of(draft->finding.key));

	if (draft->by_hand || draft->package)
		return NULL;
	for (size_t i = 0; i < gatherer->crowd_count; i++) {
		struct crowd *crowd = &gatherer->crowds[i];
		if (slice_is(dimension, crowd->dimension) && crowd->kind == draft->finding.kind &&
		    crowd->severity == draft->finding.severity && crowd->pattern == draft->pattern)
			return crowd;
	}
	if (gatherer->crowd_count == CROWDS_MAX)
		return NULL;
	struct crowd *crowd = &gatherer->crowds[gatherer->crowd_count++];
	*crowd = (struct crowd){
		.dimension = arena_str(gatherer->arena, dimension),
		.kind = draft->finding.kind,
		.severity = draft->finding.severity,
		.pattern = draft->pattern,
	};
	return crowd;
}

static struct draft *keep(struct gatherer *gatherer, const struct draft *draft)
{
	struct arena *arena = gatherer->arena;

	if (gatherer->count == gatherer->cap) {
		gatherer->cap = MAX(gatherer->cap * 2, (size_t)64);
		gatherer->drafts = mem_grow(gatherer->drafts, gatherer->cap, sizeof(*gatherer->drafts));
	}
	struct draft *kept = &gatherer->drafts[gatherer->count++];
	*kept = *draft;
	kept->finding.key = arena_strdup(arena, draft->finding.key);
	kept->shared = strlen(draft->finding.key);
	kept->finding.cause = arena_strdup(arena, draft->finding.cause);
	kept->finding.cells = copy_cells(arena, &draft->finding);
	kept->sentence = arena_strdup(arena, draft->sentence);
	kept->package = arena_strdup(arena, draft->package);
	kept->why_it_matters = arena_strdup(arena, draft->why_it_matters);
	return kept;
}

static size_t own_index(const struct gatherer *gatherer, const struct rule *rule)
{
	return (size_t)(rule - rule_book_own_at(gatherer->input->rules, 0));
}

/* All that a lapsed rule had allowed is one finding. */
static void keep_lapsed(struct gatherer *gatherer, const struct draft *draft)
{
	size_t *place = &gatherer->lapsed[own_index(gatherer, draft->finding.rule)];

	if (*place) {
		struct finding *kept = &gatherer->drafts[*place - 1].finding;
		kept->folded++;
		kept->severity = MAX(kept->severity, draft->finding.severity);
	} else if (gatherer->count < FINDINGS_MAX) {
		keep(gatherer, draft);
		*place = gatherer->count;
	}
}

static void keep_or_fold(struct gatherer *gatherer, struct draft *draft)
{
	if (draft->finding.kind == FINDING_LAPSED) {
		keep_lapsed(gatherer, draft);
		return;
	}
	if (fold_tree(gatherer, draft))
		return;
	struct crowd *crowd = crowd_of(gatherer, draft);
	if (crowd && crowd->count > draft_crowd_limit(crowd->dimension)) {
		crowd->count++;
		kept_take_in(gatherer, &gatherer->drafts[crowd->first], draft);
		return;
	}
	if (gatherer->count >= FINDINGS_MAX)
		return;
	if (crowd && crowd->count++ == 0)
		crowd->first = gatherer->count;
	draft->crowd = crowd ? (size_t)(crowd - gatherer->crowds) + 1 : 0;
	keep(gatherer, draft);
	remember_root(gatherer, gatherer->count - 1);
}

struct slice draft_subject(struct slice key)
{
	return slice_make(key.ptr, key.len - fact_attribute(key).len);
}

/* A file that is missing is missing with its mode and owner, also where more is known of it:
 * who removed it, and when. */
static void fold_file(struct window *window)
{
	for (size_t i = 1; i < window->draft_count; i++) {
		struct draft *draft = &window->drafts[i], *first = &window->drafts[0];
		if (!slice_starts_with(slice_of(draft->finding.key), "file/") || !draft->missing ||
		    !first->missing || draft->pattern != first->pattern ||
		    draft->finding.kind != first->finding.kind || draft->finding.kind == FINDING_LAPSED)
			continue;
		draft_take_in(first, draft);
		draft->gone = true;
		if (!first->root)
			first->root = draft_subject(slice_of(first->finding.key)).len;
	}
}

static void close_subject(struct gatherer *gatherer)
{
	struct window *window = &gatherer->window;

	if (window->draft_count) {
		drop_times_of_edits(window, gatherer->input->column_count);
		const char *cause = cause_of(gatherer);
		fold_file(window);
		for (size_t i = 0; i < window->draft_count; i++) {
			if (window->drafts[i].gone)
				continue;
			attach_evidence(gatherer, &window->drafts[i], cause);
			keep_or_fold(gatherer, &window->drafts[i]);
		}
	}
	window->draft_count = window->evidence_count = 0;
	arena_free(&window->arena);
}

static int visit(void *context, const struct compare_row *row, struct err *err)
{
	struct gatherer *gatherer = context;
	struct slice subject = draft_subject(row->key);
	(void)err;

	if (!slice_equal(buf_slice(&gatherer->window.subject), subject)) {
		close_subject(gatherer);
		buf_clear(&gatherer->window.subject);
		buf_put_slice(&gatherer->window.subject, subject);
	}
	if (row->is_evidence) {
		note_evidence(gatherer, row);
		return 0;
	}
	gaps_note(gatherer, row);
	for (size_t i = 0; i < row->excused_count; i++)
		gatherer->needed[own_index(gatherer, row->excused_by[i])] = true;
	if (row->state == CELL_DRIFT || row->state == CELL_MISSING)
		draft_row(gatherer, row);
	return 0;
}

/* --- rules that nothing needs --------------------------------------------------------------------- */

/* Whether it lets something pass that the policy would not. A ratio on what the policy
 * ignores demands; a pattern is looked up as if it were a key. */
static bool is_leave(const struct rule_book *book, const struct rule *rule)
{
	enum rule_kind policy = rule_book_policy(book, slice_of(rule->fact))->kind;

	if (rule->kind == RULE_RATIO || rule->kind == RULE_MINOR || rule->kind == RULE_MAJOR)
		return policy != RULE_IGNORE && policy != RULE_PRESENT && policy != RULE_RATIO;
	return rule->kind == RULE_IGNORE;
}

/* Where something it may be about was not looked at, nobody can say. */
static bool is_unsure(const struct gatherer *gatherer, const struct rule *rule)
{
	struct slice begin = rule_literal(rule->fact);

	for (size_t i = 0; i < gatherer->out->gap_count; i++) {
		struct slice key = slice_of(gatherer->out->gaps[i].key);
		size_t shared = MIN(begin.len, key.len);
		if (slice_is(key, "*") || memcmp(begin.ptr, key.ptr, shared) == 0)
			return true;
	}
	return gatherer->input->wanted &&
	       (slice_find(begin, '/') < 0 || !gatherer->input->wanted(gatherer->input->context, begin));
}

static bool is_in_scope(const struct compare_input *input, const struct rule *rule)
{
	for (size_t i = 0; i < rule->environment_count; i++) {
		bool found = false;
		for (size_t e = 0; e < input->environment_count && !found; e++)
			found = strcmp(input->environments[e], rule->environments[i]) == 0;
		if (!found)
			return false;
	}
	return true;
}

static void find_unneeded(struct gatherer *gatherer)
{
	const struct compare_input *input = gatherer->input;

	for (size_t i = 0; i < rule_book_own_count(input->rules) && !input->partial; i++) {
		const struct rule *rule = rule_book_own_at(input->rules, i);
		bool lapsed = rule->until_ms && rule->until_ms <= input->now_ms;
		if (gatherer->needed[i] || !is_leave(input->rules, rule) || !is_in_scope(input, rule) ||
		    is_unsure(gatherer, rule) || gatherer->lapsed[i] || gatherer->count >= FINDINGS_MAX)
			continue;
		const char *where = rule->where ? rule->where : "a rule";
		struct draft draft = {
			.finding = {.kind = FINDING_UNNEEDED,
				    .key = rule->fact,
				    .severity = SEVERITY_LOW,
				    .direction = FINDING_DIFFERS,
				    .rule = rule,
				    .cause = ""},
			.sentence = arena_printf(
				gatherer->arena, "%s allows %s to differ%s, and nothing it matches does",
				where, rule->fact, lapsed ? " (until a day that is over)" : ""),
			.why_it_matters = "A rule nobody needs will hide the next difference.",
			.advice = "remove it: lockstep allow remove '{key}'",
			.environment = "",
		};
		keep(gatherer, &draft);
	}
}

/* Those that are needed, so that nobody forgets what they let pass. */
static void list_excusing(struct gatherer *gatherer)
{
	size_t count = rule_book_own_count(gatherer->input->rules);
	const struct rule **rules = ARENA_NEW_ARRAY(gatherer->arena, count, const struct rule *);

	for (size_t i = 0; i < count; i++)
		if (gatherer->needed[i])
			rules[gatherer->out->excusing_count++] = rule_book_own_at(gatherer->input->rules, i);
	gatherer->out->excusing = rules;
}

/* --- the end ------------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* `salt` tells apart two findings on one missing tree that other environments lack. */
static void set_id(struct arena *arena, const struct compare_input *input, struct finding *finding,
		   uint64_t salt)
{
	const char **names = ARENA_NEW_ARRAY(arena, input->environment_count, const char *);
	struct digest_stream stream;
	struct digest digest;
	char hex[DIGEST_HEX_LEN + 1];
	const char *kind = finding_kind_name(finding->kind);

	memcpy(names, input->environments, input->environment_count * sizeof(*names));
	qsort(names, input->environment_count, sizeof(*names), by_name);
	digest_init(&stream);
	digest_update(&stream, kind, strlen(kind) + 1);
	digest_update(&stream, finding->key, strlen(finding->key) + 1);
	for (size_t i = 0; i < input->environment_count; i++)
		digest_update(&stream, names[i], strlen(names[i]) + 1);
	if (salt)
		digest_update(&stream, &salt, sizeof(salt));
	digest_finish(&stream, &digest);
	digest_to_hex(&digest, hex);
	memcpy(finding->id, hex, sizeof(finding->id) - 1);
}

/* Of the environments that lack it, by name, so that the order of columns does not matter. */
static uint64_t salt_of(const struct finding *finding)
{
	uint64_t salt = 0;

	for (size_t i = 0; i < finding->cell_count; i++) {
		struct digest digest;
		uint64_t part;
		if (finding->cells[i].state != CELL_MISSING && finding->cells[i].state != CELL_DRIFT)
			continue;
		digest_of(slice_of(finding->cells[i].environment), &digest);
		memcpy(&part, digest.bytes, sizeof(part));
		salt += part;
	}
	return salt | 1;
}

static const char *sentence_of(struct arena *arena, const struct draft *draft)
{
	const struct finding *finding = &draft->finding;
	AUTO(buf_free) struct buf text = BUF_INIT(KIB(16));

	if (finding->kind == FINDING_LAPSED)
		buf_printf(&text, "the leave for %s%s%s%s is over: ", finding->key,
			   finding->rule->where ? " (" : "", finding->rule->where ? finding->rule->where : "",
			   finding->rule->where ? ")" : "");
	buf_puts(&text, draft->sentence);
	if (finding->folded && finding->key[0] && finding->key[strlen(finding->key) - 1] == '/' &&
	    draft->root)
		buf_printf(&text, " (%zu facts)", finding->folded + 1);
	if (draft->why_it_matters[0])
		buf_printf(&text, ". %s", draft->why_it_matters);
	return arena_str(arena, buf_slice(&text));
}

/* What a file says, or whether it is there: what can be taken into the code. */
static bool is_content(struct slice key)
{
	return slice_ends_with(key, "/") || slice_is(fact_attribute(key), "content");
}

/* Only of what lockstep deployed can it say more than who it was. */
static const char *advice_by_hand(const struct gatherer *gatherer, const struct draft *draft,
				  const struct finding *finding)
{
	return draft->ours
		       ? arena_printf(
				 gatherer->arena,
				 "`lockstep accept %s` takes it into the code, `lockstep revert %s` puts the "
				 "server back",
				 finding->id, finding->id)
		       : "commit it and deploy it everywhere, or put it back there: git checkout";
}

static void finish(struct gatherer *gatherer)
{
	AUTO(map_free) struct map ids = MAP_INIT;
	struct findings *out = gatherer->out;
	struct arena *arena = gatherer->arena;

	out->items = ARENA_NEW_ARRAY(arena, gatherer->count, struct finding);
	for (size_t i = 0; i < gatherer->count; i++) {
		struct draft *draft = &gatherer->drafts[i];
		if (draft->gone)
			continue;
		struct finding *finding = &out->items[out->count++];
		const char *row_key = draft->finding.key;
		if (draft->finding.kind == FINDING_LAPSED)
			draft->finding.key = draft->finding.rule->fact;
		draft->finding.text = sentence_of(arena, draft);
		draft->finding.advice =
			draft->finding.kind == FINDING_LAPSED
				? words_advice(
					  arena,
					  "put the difference right, or renew the rule: lockstep allow add "
					  "'{key}' --until DATE",
					  draft->finding.key, draft->environment)
				: words_advice(arena, draft->advice, row_key, draft->environment);
		draft->finding.why = "";
		*finding = draft->finding;
		set_id(arena, gatherer->input, finding, 0);
		for (uint64_t salt = salt_of(finding); map_get(&ids, slice_of(finding->id)); salt++)
			set_id(arena, gatherer->input, finding, salt);
		map_put(&ids, slice_of(finding->id), finding);
		if (draft->by_hand && finding->kind != FINDING_LAPSED && is_content(slice_of(finding->key)))
			finding->advice = advice_by_hand(gatherer, draft, finding);
	}
}

static void gatherer_free(struct gatherer *gatherer)
{
	free(gatherer->drafts);
	free(gatherer->window.drafts);
	buf_free(&gatherer->window.subject);
	arena_free(&gatherer->window.arena);
	map_free(&gatherer->gaps);
}

static void gatherer_free_ptr(struct gatherer **gatherer)
{
	gatherer_free(*gatherer);
	free(*gatherer);
}

int findings_gather(struct arena *arena, const struct compare_input *input, struct findings *out,
		    struct err *err)
{
	AUTO(gatherer_free_ptr) struct gatherer *gatherer = mem_alloc(sizeof(*gatherer));

	*out = (struct findings){0};
	gatherer->arena = arena;
	gatherer->input = input;
	gatherer->out = out;
	gatherer->window.subject = BUF_INIT(FACT_KEY_MAX);
	gatherer->lapsed = ARENA_NEW_ARRAY(arena, rule_book_own_count(input->rules), size_t);
	gatherer->needed = ARENA_NEW_ARRAY(arena, rule_book_own_count(input->rules), bool);
	gatherer->put_by = ARENA_NEW_ARRAY(arena, input->column_count, const char *);
	gatherer->untimed = ARENA_NEW_ARRAY(arena, input->column_count, bool);
	if (compare_run(input, false, visit, gatherer, &out->totals, err))
		return -1;
	out->reference = input->environments[input->reference];
	close_subject(gatherer);
	gaps_finish(gatherer);
	fold_all(gatherer);
	find_unneeded(gatherer);
	list_excusing(gatherer);
	finish(gatherer);
	return 0;
}
