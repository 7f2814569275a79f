/* The merge of snapshots, and the judgement of each row. What a judgement means to people is
 * finding.c's.
 *
 * Most rows are equal in every column. So one column leads: it decodes a fact, and every
 * other whose next bytes are the same steps over them (fact_reader_pass) without looking at
 * what they say. A column that could not follow decodes for itself until it can again. */
#include "fact/compare.h"

#include "fact/internal.h"

#include <stdlib.h>

enum { WHY_MAX = 512, OWN_RULES_MAX = 64 };

static const char not_held[] = "the reference was not checked";
static const char fingerprint_only[] = "only a fingerprint is known, which words cannot be held against";
static const char mode_unknown[] = "live and test cannot be told apart by its form";
static const char no_server[] = "no server of it was asked";

const char *cell_state_name(enum cell_state state)
{
	static const char *const names[] = {
		[CELL_SAME] = "same",	    [CELL_ALLOWED] = "allowed",		[CELL_DRIFT] = "drift",
		[CELL_MISSING] = "missing", [CELL_NOT_CHECKED] = "not_checked", [CELL_STALE] = "stale",
	};
	return (size_t)state < ARRAY_LEN(names) ? names[state] : NULL;
}

static enum cell_state worse(enum cell_state a, enum cell_state b)
{
	static const int rank[] = {
		[CELL_SAME] = 1,	[CELL_ALLOWED] = 2, [CELL_STALE] = 3,
		[CELL_NOT_CHECKED] = 4, [CELL_DRIFT] = 5,   [CELL_MISSING] = 6,
	};
	return rank[b] > rank[a] ? b : a;
}

static bool is_breach(enum cell_state state)
{
	return state == CELL_DRIFT || state == CELL_MISSING;
}

/* --- ranges that were not checked ------------------------------------------------- */

/* Keys that end in '/', each the beginning of the next: the innermost is kept, the others
 * are lengths of it. */
struct ranges {
	struct buf key;
	struct range {
		size_t len;
		char *why;
		bool told; /* a row stood in it whose cell says that it was not looked at */
	} * items;
	size_t count, cap;
};

static struct slice innermost(const struct ranges *ranges)
{
	return slice_make(ranges->key.ptr, ranges->count ? ranges->items[ranges->count - 1].len : 0);
}

static bool covers(const struct ranges *ranges, struct slice key)
{
	struct slice range = innermost(ranges);

	return ranges->count && key.len >= range.len && memcmp(key.ptr, range.ptr, range.len) == 0;
}

static void pop(struct ranges *ranges)
{
	struct range *range = &ranges->items[--ranges->count];

	free(range->why);
	range->why = NULL;
}

static void leave_ranges(struct ranges *ranges, struct slice key)
{
	while (ranges->count && !covers(ranges, key))
		pop(ranges);
}

static char *copy_why(struct slice why)
{
	size_t len = MIN(why.len, (size_t)WHY_MAX - 1);
	char *copy = mem_alloc(len + 1);

	while (len < why.len && len && ((uint8_t)why.ptr[len] & 0xC0) == 0x80)
		len--;
	if (len)
		memcpy(copy, why.ptr, len);
	return copy;
}

static void push(struct ranges *ranges, struct slice key, struct slice why)
{
	leave_ranges(ranges, key);
	if (ranges->count == ranges->cap) {
		ranges->cap = MAX(ranges->cap * 2, (size_t)4);
		ranges->items = mem_grow(ranges->items, ranges->cap, sizeof(*ranges->items));
	}
	ranges->key.max = FACT_KEY_MAX;
	buf_clear(&ranges->key);
	buf_put_slice(&ranges->key, key);
	ranges->items[ranges->count++] = (struct range){.len = key.len, .why = copy_why(why)};
}

static void ranges_free(struct ranges *ranges)
{
	while (ranges->count)
		pop(ranges);
	free(ranges->items);
	buf_free(&ranges->key);
}

/* --- the run ------------------------------------------------------------------------- */

struct column {
	const struct compare_column *input;
	struct fact_reader *reader;
	struct fact fact; /* the one it stands at, where it leads itself */
	size_t lead;	  /* the column whose fact this one's is */
	bool ended;
	bool knows_key; /* the reader knows where it stands */
	bool in_row;	/* it stands at the row's key */
	bool looked;	/* not stale, and the row's key was checked: it has the fact, or lacks it */
	uint32_t class; /* equal values of one row have one number; where it has the fact */
	char *why;	/* of a single key not checked */
	struct ranges ranges;
};

/* Columns of one environment and what they are held against. */
struct section {
	const uint32_t *columns, *reference;
	size_t count, reference_count;
	enum { OF_ONE_GROUP, OF_THE_REST, OF_NO_COUNTERPART } kind;
};

struct environment {
	size_t first, end; /* columns */
	struct section *sections;
	size_t section_count;
	struct section *groups; /* of more than one server; `columns` only */
	size_t group_count;
};

struct run {
	const struct compare_input *input;
	struct arena arena;
	struct column *columns;
	size_t count;
	struct environment *environments;
	bool any_stale, any_empty, uniform; /* uniform: all follow the first */
	bool every;
	int (*visit)(void *, const struct compare_row *, struct err *);
	void *context;
	struct compare_totals *totals;
	struct ranges ranges; /* of any column */

	/* Of one row. */
	struct cell *cells, *environment_cells;
	const struct rule **rules; /* one an environment */
	bool within;
	size_t has_count;
	struct class
	{
		const struct fact *fact;
		uint64_t hash;
		uint32_t seen;	/* a number of a look */
		uint32_t owner; /* the environment that was found to have it */
		uint32_t next;	/* in its slot, plus one */
		bool shared;
	} * classes;
	size_t class_count;
	uint32_t *slots;
	size_t slot_count;
	uint32_t look;
	enum cell_state *policy_states;
	const struct rule **excused;
};

static const struct fact *fact_of(const struct run *run, const struct column *column)
{
	return &run->columns[column->lead].fact;
}

static int fail(const struct column *column, struct err *err)
{
	return err_wrap(err, "facts of %s", column->input->server ? column->input->server : "a server");
}

static int step(struct run *run, size_t index, struct err *err)
{
	struct column *column = &run->columns[index];
	int got = fact_next(column->reader, &column->fact, err);

	column->lead = index;
	column->knows_key = true;
	column->ended = got == 0;
	run->totals->facts += got > 0;
	return got < 0 ? fail(column, err) : 0;
}

/* All that stand at the row's key go on. The first of them is never one that follows
 * another, for those that follow move together with whom they follow. */
static int step_row(struct run *run, struct err *err)
{
	size_t lead = 0, following = 1;

	while (lead < run->count && !run->columns[lead].in_row)
		lead++;
	if (step(run, lead, err))
		return -1;
	const struct column *first = &run->columns[lead];
	struct slice entry = first->ended ? slice_make(NULL, 0) : fact_reader_entry(first->reader);
	struct slice key =
		first->ended ? fact_reader_key(first->reader) : fact_reader_key_before(first->reader);
	for (size_t i = lead + 1; i < run->count; i++) {
		struct column *column = &run->columns[i];
		if (!column->in_row)
			continue;
		int passed = entry.len ? fact_reader_pass(column->reader, entry, err) : 0;
		if (passed < 0)
			return fail(column, err);
		if (passed) {
			column->lead = lead;
			column->knows_key = false;
			run->totals->facts++;
			following++;
			continue;
		}
		if (!column->knows_key)
			fact_reader_take_key(column->reader, key);
		if (step(run, i, err))
			return -1;
	}
	run->uniform = following == run->count && !first->ended;
	return 0;
}

/* --- values of a row that are equal ---------------------------------------------------- */

static uint64_t hash_of(const struct fact *fact)
{
	uint64_t hash = 1469598103934665603u ^ (uint64_t)fact->kind;

	for (size_t i = 0; i < fact->value.len; i++)
		hash = (hash ^ (uint8_t)fact->value.ptr[i]) * 1099511628211u;
	return hash ^ (hash >> 29);
}

static uint32_t class_of(struct run *run, const struct fact *fact)
{
	uint64_t hash = hash_of(fact);
	uint32_t *slot = &run->slots[hash & (run->slot_count - 1)];

	for (uint32_t at = *slot; at; at = run->classes[at - 1].next) {
		const struct class *class = &run->classes[at - 1];
		if (class->hash == hash && class->fact->kind == fact->kind &&
		    slice_equal(class->fact->value, fact->value))
			return at - 1;
	}
	run->classes[run->class_count++] = (struct class){.fact = fact, .hash = hash, .next = *slot};
	*slot = (uint32_t)run->class_count;
	return *slot - 1;
}

static void forget_classes(struct run *run)
{
	for (size_t i = 0; i < run->class_count; i++)
		run->slots[run->classes[i].hash & (run->slot_count - 1)] = 0;
	run->class_count = 0;
}

/* --- filling the cells ------------------------------------------------------------------ */

static void set_why(struct column *column, struct slice why)
{
	free(column->why);
	column->why = copy_why(why);
}

static void fill_cell(struct run *run, size_t index, struct slice key)
{
	struct column *column = &run->columns[index];
	struct cell *cell = &run->cells[index];
	const struct fact *fact = column->in_row ? fact_of(run, column) : NULL;

	*cell = (struct cell){0};
	column->looked = false;
	if (fact && fact->kind == FACT_NOT_CHECKED) {
		set_why(column, fact->value);
		cell->why = column->why;
		cell->range = key;
		return;
	}
	if (!fact && column->ranges.count)
		leave_ranges(&column->ranges, key);
	if (!fact && column->ranges.count) {
		cell->why = column->ranges.items[column->ranges.count - 1].why;
		cell->range = innermost(&column->ranges);
		return;
	}
	if (!fact && run->input->unseen) {
		cell->why = run->input->unseen(run->input->context, index, key);
		cell->range = cell->why ? key : cell->range;
		if (cell->why)
			return;
	}
	column->looked = !column->input->stale;
	cell->fact = fact;
	if (fact)
		run->has_count++;
	if (!fact || !column->looked)
		return;
	column->class = column->lead == index || !run->columns[column->lead].looked
				? class_of(run, fact)
				: run->columns[column->lead].class;
}

static size_t shared_length(struct slice a, struct slice b)
{
	size_t most = MIN(a.len, b.len), len = 0;

	while (len < most && a.ptr[len] == b.ptr[len])
		len++;
	return len;
}

/* The keys next to a missing one are the ones that have most in common with it. */
static size_t known_length(const struct run *run, const struct column *column, struct slice key)
{
	const struct column *lead = &run->columns[column->lead];

	if (lead->ended)
		return shared_length(key, fact_reader_key(lead->reader));
	size_t before = shared_length(key, fact_reader_key_before(lead->reader));
	size_t behind = shared_length(key, lead->fact.key);
	return MAX(before, behind);
}

/* --- judging ------------------------------------------------------------------------------ */

static bool passes_number(const struct rule *rule, const struct fact *fact, const struct fact *reference)
{
	struct slice unit, reference_unit;
	double number, reference_number;

	if (!fact_number(fact->value, &number, &unit) ||
	    !fact_number(reference->value, &reference_number, &reference_unit) ||
	    !slice_equal(unit, reference_unit))
		return false;
	return number >= reference_number * rule->ratio &&
	       (!rule->both || number * rule->ratio <= reference_number);
}

/* Whether two values that are not equal are near enough. */
static bool passes(const struct rule *rule, const struct fact *fact, const struct fact *reference)
{
	switch (rule->kind) {
	case RULE_RATIO:
		return passes_number(rule, fact, reference);
	case RULE_MINOR:
		return fact_version_same(fact->value, reference->value, 2);
	case RULE_MAJOR:
		return fact_version_same(fact->value, reference->value, 1);
	case RULE_SAME:
		return false;
	case RULE_UNIQUE:
	case RULE_ONE_OF:
	case RULE_LIVE_ONLY_IN:
	case RULE_PRESENT:
	case RULE_IGNORE:
	case RULE_AT_LEAST:
		break;
	}
	return true;
}

/* Whether the rule holds a value against the reference's. */
static bool is_relation(const struct rule *rule)
{
	return rule->kind == RULE_SAME || rule->kind == RULE_RATIO || rule->kind == RULE_MINOR ||
	       rule->kind == RULE_MAJOR;
}

struct held {
	bool known, has, lacks, stale; /* the reference's */
	bool own_has;
};

static struct held look_at(struct run *run, const struct section *section)
{
	struct held held = {0};

	run->look++;
	for (size_t i = 0; i < section->reference_count; i++) {
		const struct column *column = &run->columns[section->reference[i]];
		bool has = run->cells[section->reference[i]].fact;
		held.stale |= column->input->stale;
		if (!column->looked)
			continue;
		held.known = true;
		held.has |= has;
		held.lacks |= !has;
		if (has)
			run->classes[column->class].seen = run->look;
	}
	for (size_t i = 0; i < section->count; i++)
		held.own_has |=
			run->cells[section->columns[i]].fact && run->columns[section->columns[i]].looked;
	return held;
}

static bool passes_any(const struct run *run, const struct rule *rule, const struct fact *fact)
{
	if (rule->kind == RULE_SAME || !is_relation(rule))
		return rule->kind != RULE_SAME;
	for (size_t i = 0; i < run->class_count; i++)
		if (run->classes[i].seen == run->look && passes(rule, fact, run->classes[i].fact))
			return true;
	return false;
}

static enum cell_state judge_present(const struct run *run, const struct held *held, const struct rule *rule,
				     const struct column *column, struct cell *cell)
{
	if (!held->known) {
		if (!is_relation(rule))
			return CELL_ALLOWED;
		cell->why = held->stale ? NULL : not_held;
		return held->stale ? CELL_STALE : CELL_NOT_CHECKED;
	}
	if (run->classes[column->class].seen == run->look)
		return CELL_SAME;
	if (rule->kind == RULE_IGNORE)
		return CELL_ALLOWED;
	return held->has && passes_any(run, rule, cell->fact) ? CELL_ALLOWED : CELL_DRIFT;
}

static enum cell_state judge_absent(const struct held *held, const struct section *section,
				    const struct rule *rule, struct cell *cell)
{
	if (!held->known && rule->kind == RULE_IGNORE)
		return CELL_ALLOWED;
	if (!held->known) {
		cell->why = held->stale ? NULL : not_held;
		return held->stale ? CELL_STALE : CELL_NOT_CHECKED;
	}
	if (!held->has)
		return CELL_SAME;
	if (rule->kind == RULE_IGNORE)
		return CELL_ALLOWED;
	switch (section->kind) {
	case OF_ONE_GROUP:
		return held->lacks ? CELL_SAME : CELL_MISSING;
	case OF_THE_REST:
		return held->own_has ? CELL_SAME : CELL_MISSING;
	case OF_NO_COUNTERPART:
		break;
	}
	return CELL_SAME;
}

static void judge_section(struct run *run, const struct section *section, const struct rule *rule)
{
	struct held held = look_at(run, section);
	bool reference_lacks = false;

	for (size_t i = 0; i < section->count; i++) {
		const struct column *column = &run->columns[section->columns[i]];
		struct cell *cell = &run->cells[section->columns[i]];
		if (!column->looked)
			continue;
		if (!cell->fact) {
			cell->state = judge_absent(&held, section, rule, cell);
			continue;
		}
		cell->state = judge_present(run, &held, rule, column, cell);
		reference_lacks |= held.known && !held.has && cell->state == CELL_DRIFT;
	}
	for (size_t i = 0; i < section->reference_count && reference_lacks; i++)
		if (run->columns[section->reference[i]].looked)
			run->cells[section->reference[i]].state = CELL_MISSING;
}

static bool is_word(const struct rule *rule, struct slice word)
{
	for (size_t i = 0; i < rule->word_count; i++)
		if (slice_is(word, rule->words[i]))
			return true;
	return false;
}

static void judge_one_of(const struct rule *rule, struct cell *cell)
{
	if (cell->fact->kind == FACT_HMAC || cell->fact->kind == FACT_DIGEST) {
		cell->state = CELL_NOT_CHECKED;
		cell->why = fingerprint_only;
	} else if (!is_word(rule, cell->fact->value)) {
		cell->state = CELL_DRIFT;
	}
}

static void judge_mode(const struct run *run, const struct rule *rule, size_t environment, struct cell *cell)
{
	bool live = slice_is(cell->fact->value, "live");
	bool may = rule->word_count ? is_word(rule, slice_of(run->input->environments[environment]))
				    : environment == run->input->reference;

	if (!live && !slice_is(cell->fact->value, "test") && !slice_is(cell->fact->value, "sandbox")) {
		cell->state = CELL_NOT_CHECKED;
		cell->why = mode_unknown;
	} else if (live != may) {
		cell->state = CELL_DRIFT;
	}
}

static void judge_least(const struct rule *rule, struct cell *cell)
{
	struct slice unit;
	double number;

	if (!fact_number(cell->fact->value, &number, &unit) || number < rule->least)
		cell->state = CELL_DRIFT;
}

/* What a rule says of each value by itself. */
static void judge_alone(struct run *run, size_t environment)
{
	const struct rule *rule = run->rules[environment];

	if (rule->kind != RULE_ONE_OF && rule->kind != RULE_LIVE_ONLY_IN && rule->kind != RULE_AT_LEAST)
		return;
	for (size_t i = run->environments[environment].first; i < run->environments[environment].end; i++) {
		struct cell *cell = &run->cells[i];
		if (!run->columns[i].looked || !cell->fact)
			continue;
		if (rule->kind == RULE_ONE_OF)
			judge_one_of(rule, cell);
		else if (rule->kind == RULE_AT_LEAST)
			judge_least(rule, cell);
		else
			judge_mode(run, rule, environment, cell);
	}
}

/* Whether the servers of one group are alike; those that lack what others have are missing. */
static bool is_alike(struct run *run, const struct section *group, const struct rule *rule)
{
	const struct column *first = NULL;
	bool alike = true, lacks = false;

	for (size_t i = 0; i < group->count; i++) {
		const struct column *column = &run->columns[group->columns[i]];
		const struct fact *fact = run->cells[group->columns[i]].fact;
		if (!column->looked)
			continue;
		lacks |= !fact;
		if (!fact)
			continue;
		if (!first)
			first = column;
		if (column->class == first->class)
			continue;
		const struct fact *other = run->classes[first->class].fact;
		alike &= is_relation(rule) && (passes(rule, fact, other) || passes(rule, other, fact));
	}
	for (size_t i = 0; i < group->count && first && lacks; i++) {
		struct cell *cell = &run->cells[group->columns[i]];
		if (run->columns[group->columns[i]].looked && !cell->fact)
			cell->state = CELL_MISSING;
	}
	return alike && !(first && lacks);
}

/* Equal values of two environments break RULE_UNIQUE, in both of them. */
static void judge_unique(struct run *run)
{
	bool any = false;

	for (size_t i = 0; i < run->class_count; i++)
		run->classes[i].owner = UINT32_MAX;
	for (size_t e = 0; e < run->input->environment_count; e++) {
		if (run->rules[e]->kind != RULE_UNIQUE)
			continue;
		for (size_t i = run->environments[e].first; i < run->environments[e].end; i++) {
			if (!run->columns[i].looked || !run->cells[i].fact)
				continue;
			struct class *class = &run->classes[run->columns[i].class];
			class->shared |= class->owner != UINT32_MAX && class->owner != e;
			class->owner = (uint32_t)e;
			any |= class->shared;
		}
	}
	for (size_t e = 0; e < run->input->environment_count && any; e++)
		for (size_t i = run->environments[e].first; i < run->environments[e].end; i++)
			if (run->rules[e]->kind == RULE_UNIQUE && run->columns[i].looked &&
			    run->cells[i].fact && run->classes[run->columns[i].class].shared)
				run->cells[i].state = CELL_DRIFT;
}

static void sum_up(struct run *run, size_t environment, bool alike)
{
	const struct environment *of = &run->environments[environment];
	struct cell *sum = &run->environment_cells[environment];

	*sum = (struct cell){.state = alike ? CELL_SAME : CELL_DRIFT};
	if (of->first == of->end) {
		sum->state = CELL_NOT_CHECKED;
		sum->why = no_server;
	}
	for (size_t i = of->first; i < of->end; i++) {
		const struct cell *cell = &run->cells[i];
		if (!sum->fact)
			sum->fact = cell->fact;
		if (!sum->why && cell->why) {
			sum->why = cell->why;
			sum->range = cell->range;
		}
		sum->known = MAX(sum->known, cell->known);
		/* Where some have it and some lack it, the environment neither has nor lacks it. */
		sum->state =
			worse(sum->state, !alike && cell->state == CELL_MISSING ? CELL_DRIFT : cell->state);
	}
}

/* By run->rules; fills the states of all cells and of the environments. */
static void judge(struct run *run)
{
	const struct compare_input *input = run->input;
	bool unique = false;

	run->within = false;
	for (size_t i = 0; i < run->count; i++) {
		struct cell *cell = &run->cells[i];
		if (run->columns[i].looked) {
			cell->state = CELL_SAME;
			cell->why = NULL;
		} else {
			cell->state = run->columns[i].input->stale ? CELL_STALE : CELL_NOT_CHECKED;
		}
	}
	for (size_t e = 0; e < input->environment_count; e++) {
		unique |= run->rules[e]->kind == RULE_UNIQUE;
		for (size_t i = 0; i < run->environments[e].section_count; i++)
			judge_section(run, &run->environments[e].sections[i], run->rules[e]);
	}
	for (size_t e = 0; e < input->environment_count; e++)
		judge_alone(run, e);
	if (unique)
		judge_unique(run);
	for (size_t e = 0; e < input->environment_count; e++) {
		bool alike = true;
		for (size_t i = 0; i < run->environments[e].group_count; i++)
			if (run->rules[e]->kind != RULE_IGNORE)
				alike &= is_alike(run, &run->environments[e].groups[i], run->rules[e]);
		run->within |= !alike;
		sum_up(run, e, alike);
	}
}

/* --- rules of a row --------------------------------------------------------------------- */

/* A rule for nothing but the reference is about every comparison with it. */
static bool applies(const struct run *run, const struct rule *rule, size_t environment)
{
	const char *reference = run->input->environments[run->input->reference];

	if (rule_covers(rule, run->input->environments[environment]))
		return true;
	for (size_t i = 0; i < rule->environment_count; i++)
		if (strcmp(rule->environments[i], reference) != 0)
			return false;
	return true;
}

/* Judges by the policy, then by the project's own rules where there are any. */
static void judge_by_rules(struct run *run, struct slice key, struct compare_row *row)
{
	const struct rule *own[OWN_RULES_MAX];
	size_t own_count = rule_book_own_all(run->input->rules, key, own, OWN_RULES_MAX);
	size_t environments = run->input->environment_count;

	row->policy = rule_book_policy(run->input->rules, key);
	for (size_t e = 0; e < environments; e++)
		run->rules[e] = row->policy;
	judge(run);
	if (own_count == 0)
		return;
	for (size_t e = 0; e < environments; e++) {
		run->policy_states[e] = run->environment_cells[e].state;
		for (size_t i = own_count; i-- > 0;)
			if (applies(run, own[i], e))
				run->rules[e] = own[i];
	}
	judge(run);
	for (size_t e = 0; e < environments; e++) {
		const struct rule *rule = run->rules[e];
		bool told = rule == row->policy || !is_breach(run->policy_states[e]) ||
			    is_breach(run->environment_cells[e].state);
		for (size_t i = 0; i < row->excused_count && !told; i++)
			told = run->excused[i] == rule;
		if (!told)
			run->excused[row->excused_count++] = rule;
	}
	row->excused_by = run->excused;
}

static void count_row(struct compare_totals *totals, enum cell_state state)
{
	totals->rows++;
	switch (state) {
	case CELL_SAME:
		totals->same++;
		return;
	case CELL_ALLOWED:
		totals->allowed++;
		return;
	case CELL_DRIFT:
		totals->drift++;
		return;
	case CELL_MISSING:
		totals->missing++;
		return;
	case CELL_NOT_CHECKED:
		totals->not_checked++;
		return;
	case CELL_STALE:
		totals->stale++;
		return;
	}
}

/* Of the ranges that are open each is known by its length. */
static void tell_ranges(struct run *run)
{
	for (size_t i = 0; i < run->count && run->ranges.count; i++) {
		const struct cell *cell = &run->cells[i];
		if (cell->state != CELL_NOT_CHECKED && cell->state != CELL_STALE)
			continue;
		for (size_t k = 0; k < run->ranges.count; k++)
			run->ranges.items[k].told |= run->ranges.items[k].len == cell->range.len;
	}
}

static int show_evidence(struct run *run, struct compare_row *row, struct err *err)
{
	row->is_evidence = true;
	row->state = CELL_SAME;
	row->policy = row->rule = rule_book_policy(run->input->rules, row->key);
	for (size_t i = 0; i < run->count; i++)
		run->cells[i].state = CELL_SAME;
	for (size_t e = 0; e < run->input->environment_count; e++)
		sum_up(run, e, true);
	return run->visit(run->context, row, err);
}

static int show_row(struct run *run, struct slice key, struct err *err)
{
	struct compare_row row = {.key = key, .cells = run->cells, .environments = run->environment_cells};
	bool evidence = false;

	run->has_count = 0;
	for (size_t i = 0; i < run->count; i++) {
		fill_cell(run, i, key);
		evidence |= run->cells[i].fact && run->cells[i].fact->evidence;
	}
	if (evidence) {
		forget_classes(run);
		return show_evidence(run, &row, err);
	}
	for (size_t i = 0; i < run->count && run->has_count < run->count; i++)
		if (!run->cells[i].fact && run->columns[i].looked)
			run->cells[i].known = known_length(run, &run->columns[i], key);
	judge_by_rules(run, key, &row);
	forget_classes(run);
	tell_ranges(run);
	row.state = CELL_SAME;
	row.rule = run->rules[run->input->reference];
	for (size_t e = 0; e < run->input->environment_count; e++) {
		enum cell_state state = worse(row.state, run->environment_cells[e].state);
		/* Of the environments in one state, one that is held against the reference says why. */
		if (state != row.state || (state == run->environment_cells[e].state &&
					   row.rule == run->rules[run->input->reference]))
			row.rule = run->rules[e];
		row.state = state;
	}
	row.within = run->within;
	if (is_breach(row.state))
		row.severity = row.rule->severity     ? row.rule->severity
			       : row.policy->severity ? row.policy->severity
						      : SEVERITY_MEDIUM;
	count_row(run->totals, row.state);
	return row.state == CELL_SAME && !row.excused_count && !run->every
		       ? 0
		       : run->visit(run->context, &row, err);
}

/* --- rows ---------------------------------------------------------------------------------- */

static bool is_wanted(const struct run *run, struct slice key)
{
	return !run->input->wanted || run->input->wanted(run->input->context, key);
}

/* A range that no cell spoke of is a row of its own: also where everybody has facts in it, as
 * others may be missing there. `key` is where the merge stands; ptr NULL at its end. */
static int close_ranges(struct run *run, struct slice key, struct err *err)
{
	while (run->ranges.count && !(key.ptr && covers(&run->ranges, key))) {
		struct range *range = &run->ranges.items[run->ranges.count - 1];
		if (!range->told && is_wanted(run, innermost(&run->ranges))) {
			for (size_t i = 0; i < run->count; i++)
				run->columns[i].in_row = false;
			if (show_row(run, innermost(&run->ranges), err))
				return -1;
		}
		pop(&run->ranges);
	}
	return 0;
}

/* Marks who stands at the smallest key. false: all have ended. */
static bool find_row(struct run *run, struct slice *key_out)
{
	struct slice key = {0};

	for (size_t i = 0; i < run->count; i++) {
		struct column *column = &run->columns[i];
		column->in_row = false;
		if (column->ended)
			continue;
		if (column->lead != i) {
			column->in_row = run->columns[column->lead].in_row;
			continue;
		}
		int order = key.ptr ? slice_compare(column->fact.key, key) : -1;
		column->in_row = order <= 0;
		if (order >= 0)
			continue;
		for (size_t k = 0; k < i; k++)
			run->columns[k].in_row = false;
		key = column->fact.key;
	}
	*key_out = key;
	return key.ptr;
}

static int open_range(struct run *run, struct slice key, struct err *err)
{
	if (close_ranges(run, key, err))
		return -1;
	push(&run->ranges, key, slice_make(NULL, 0));
	return 0;
}

static int one_row(struct run *run, struct slice key, struct err *err)
{
	if (key.ptr[key.len - 1] == '/') {
		/* Rows of ranges that end here use in_row. */
		struct slice again;
		if (open_range(run, key, err) || !find_row(run, &again))
			return -1;
		for (size_t i = 0; i < run->count; i++)
			if (run->columns[i].in_row)
				push(&run->columns[i].ranges, key, fact_of(run, &run->columns[i])->value);
		return 0;
	}
	if (run->ranges.count) {
		struct slice again;
		if (close_ranges(run, key, err) || !find_row(run, &again))
			return -1;
	}
	return is_wanted(run, key) ? show_row(run, key, err) : 0;
}

/* Every column has the very same fact, and no rule is broken by that. */
static bool is_plain(const struct run *run)
{
	const struct fact *fact = &run->columns[0].fact;

	return run->uniform && !run->every && !run->any_stale && !run->any_empty && !run->ranges.count &&
	       fact->kind != FACT_NOT_CHECKED && !fact->evidence &&
	       !rule_book_demands(run->input->rules, fact->key);
}

static int merge(struct run *run, struct err *err)
{
	struct slice key;

	for (size_t i = 0; i < run->count; i++)
		if (step(run, i, err))
			return -1;
	for (;;) {
		if (is_plain(run)) {
			/* in_row still holds for all: it was so in the row before. */
			if (is_wanted(run, run->columns[0].fact.key)) {
				run->totals->rows++;
				run->totals->same++;
			}
		} else {
			if (!find_row(run, &key))
				break;
			if (one_row(run, key, err))
				return -1;
		}
		if (step_row(run, err))
			return -1;
	}
	return close_ranges(run, slice_make(NULL, 0), err);
}

/* --- what is held against what ------------------------------------------------------------- */

static bool same_group(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Numbers for groups; 0 is none. */
static uint32_t *number_groups(struct run *run)
{
	uint32_t *numbers = ARENA_NEW_ARRAY(&run->arena, run->count, uint32_t), next = 0;

	for (size_t i = 0; i < run->count; i++) {
		size_t k = 0;
		while (!same_group(run->columns[k].input->group, run->columns[i].input->group))
			k++;
		numbers[i] = k == i ? next++ : numbers[k];
	}
	return numbers;
}

static bool has_group(const struct environment *environment, const uint32_t *groups, uint32_t group)
{
	for (size_t i = environment->first; i < environment->end; i++)
		if (groups[i] == group)
			return true;
	return false;
}

/* The columns of `of` that are in the group; with `other`, those whose group `other` has not. */
static uint32_t *pick(struct run *run, const struct environment *of, const uint32_t *groups, uint32_t group,
		      const struct environment *other, size_t *count_out)
{
	uint32_t *picked = ARENA_NEW_ARRAY(&run->arena, of->end - of->first, uint32_t);

	*count_out = 0;
	for (size_t i = of->first; i < of->end; i++)
		if (other ? !has_group(other, groups, groups[i]) : groups[i] == group)
			picked[(*count_out)++] = (uint32_t)i;
	return picked;
}

static bool is_first_of_group(const struct environment *of, const uint32_t *groups, size_t index)
{
	for (size_t i = of->first; i < index; i++)
		if (groups[i] == groups[index])
			return false;
	return true;
}

static void divide(struct run *run, struct environment *of, const uint32_t *groups)
{
	const struct environment *reference = &run->environments[run->input->reference];
	size_t count = of->end - of->first;

	of->groups = ARENA_NEW_ARRAY(&run->arena, count, struct section);
	of->sections = ARENA_NEW_ARRAY(&run->arena, count + 1, struct section);
	for (size_t i = of->first; i < of->end; i++) {
		struct section section = {.kind = OF_ONE_GROUP};
		if (!is_first_of_group(of, groups, i))
			continue;
		section.columns = pick(run, of, groups, groups[i], NULL, &section.count);
		if (section.count > 1)
			of->groups[of->group_count++] = section;
		section.reference = pick(run, reference, groups, groups[i], NULL, &section.reference_count);
		if (of != reference && section.reference_count)
			of->sections[of->section_count++] = section;
	}
	if (of == reference)
		return;
	struct section rest = {.kind = OF_THE_REST};
	rest.columns = pick(run, of, groups, 0, reference, &rest.count);
	rest.reference = pick(run, reference, groups, 0, of, &rest.reference_count);
	if (rest.reference_count == 0) {
		static const struct environment nobody = {0};
		rest.kind = OF_NO_COUNTERPART;
		rest.reference = pick(run, reference, groups, 0, &nobody, &rest.reference_count);
	}
	if (rest.count)
		of->sections[of->section_count++] = rest;
}

static int set_up(struct run *run, struct err *err)
{
	const struct compare_input *input = run->input;

	if (input->column_count > COMPARE_COLUMNS_MAX || input->environment_count > COMPARE_COLUMNS_MAX)
		return err_set(err, ERR_USER, "more than %d servers are too many to compare at once",
			       COMPARE_COLUMNS_MAX);
	if (input->reference >= input->environment_count)
		return err_set(err, ERR_INTERNAL, "there is no environment to hold the others against");
	run->count = input->column_count;
	run->columns = ARENA_NEW_ARRAY(&run->arena, run->count, struct column);
	run->environments = ARENA_NEW_ARRAY(&run->arena, input->environment_count, struct environment);
	run->cells = ARENA_NEW_ARRAY(&run->arena, run->count, struct cell);
	run->environment_cells = ARENA_NEW_ARRAY(&run->arena, input->environment_count, struct cell);
	run->rules = ARENA_NEW_ARRAY(&run->arena, input->environment_count, const struct rule *);
	run->excused = ARENA_NEW_ARRAY(&run->arena, input->environment_count, const struct rule *);
	run->policy_states = ARENA_NEW_ARRAY(&run->arena, input->environment_count, enum cell_state);
	run->classes = ARENA_NEW_ARRAY(&run->arena, run->count, struct class);
	for (run->slot_count = 4; run->slot_count < run->count * 2;)
		run->slot_count *= 2;
	run->slots = ARENA_NEW_ARRAY(&run->arena, run->slot_count, uint32_t);
	for (size_t i = 0; i < run->count; i++) {
		const struct compare_column *column = &input->columns[i];
		struct environment *of = column->environment < input->environment_count
						 ? &run->environments[column->environment]
						 : NULL;
		if (!of || (of->end && of->end != i))
			return err_set(err, ERR_INTERNAL, "columns of one environment do not stand together");
		of->first = of->end ? of->first : i;
		of->end = i + 1;
		run->columns[i] = (struct column){.input = column, .reader = column->reader, .lead = i};
		run->any_stale |= column->stale;
	}
	const uint32_t *groups = number_groups(run);
	for (size_t e = 0; e < input->environment_count; e++) {
		run->any_empty |= run->environments[e].end == 0;
		divide(run, &run->environments[e], groups);
	}
	return 0;
}

static void run_free(struct run *run)
{
	for (size_t i = 0; run->columns && i < run->count; i++) {
		ranges_free(&run->columns[i].ranges);
		free(run->columns[i].why);
	}
	ranges_free(&run->ranges);
	arena_free(&run->arena);
}

int compare_run(const struct compare_input *input, bool every,
		int (*visit)(void *context, const struct compare_row *row, struct err *err), void *context,
		struct compare_totals *totals, struct err *err)
{
	*totals = (struct compare_totals){0};
	AUTO(run_free)
	struct run run = {
		.input = input, .every = every, .visit = visit, .context = context, .totals = totals};

	if (set_up(&run, err))
		return -1;
	return run.count ? merge(&run, err) : 0;
}

int compare_coverage(const struct compare_totals *totals)
{
	uint64_t looked = totals->same + totals->allowed + totals->drift + totals->missing;

	return totals->rows ? (int)(looked * 100 / totals->rows) : 0;
}
