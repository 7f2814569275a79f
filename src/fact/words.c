/* Words for people: values of cells, sentences, advice. What they are said of is decided in
 * finding.c. */
#include "fact/words.h"

#include "base/clock.h"

enum { TEXT_MAX = 300, NAMES_MAX = 4, LETTER_COLUMNS_MAX = 64, ELEMENTS_MAX = 8 };

const char *words_cut(struct arena *arena, struct slice text)
{
	size_t len = MIN(text.len, (size_t)TEXT_MAX);

	while (len < text.len && len && ((uint8_t)text.ptr[len] & 0xC0) == 0x80)
		len--;
	return len < text.len ? arena_printf(arena, "%.*s…", (int)len, text.ptr) : arena_str(arena, text);
}

static const char *value_text(struct arena *arena, const struct fact *fact)
{
	AUTO(buf_free) struct buf text = BUF_INIT((size_t)FACT_VALUE_MAX * 4 + 16);

	fact_put_value(&text, fact);
	return text.len ? words_cut(arena, buf_slice(&text)) : "empty";
}

static bool fact_equal(const struct fact *a, const struct fact *b)
{
	return a->kind == b->kind && slice_equal(a->value, b->value);
}

static bool is_first_of_value(const struct compare_row *row, size_t column)
{
	for (size_t i = 0; i < column; i++)
		if (row->cells[i].fact && fact_equal(row->cells[i].fact, row->cells[column].fact))
			return false;
	return true;
}

/* "value A", "value B": of a fingerprint people can only use whether it equals another. */
static const char *letter_text(struct arena *arena, const struct compare_input *input,
			       const struct compare_row *row, size_t column)
{
	size_t columns = MIN(input->column_count, (size_t)LETTER_COLUMNS_MAX);
	int letter = 'A';

	for (size_t i = 0; i < columns && letter <= 'Z'; i++) {
		if (!row->cells[i].fact || !is_first_of_value(row, i))
			continue;
		if (fact_equal(row->cells[i].fact, row->cells[column].fact))
			return arena_printf(arena, "value %c", letter);
		letter++;
	}
	return "another value";
}

const char *words_cell(struct arena *arena, const struct compare_input *input, const struct compare_row *row,
		       size_t column)
{
	const struct cell *cell = &row->cells[column];

	if (cell->fact && cell->fact->kind == FACT_HMAC && row->state == CELL_DRIFT)
		return letter_text(arena, input, row, column);
	if (cell->fact && input->columns[column].stale)
		return arena_printf(arena, "%s (seen earlier)", value_text(arena, cell->fact));
	if (cell->fact)
		return value_text(arena, cell->fact);
	if (cell->why)
		return arena_printf(arena, "not checked: %s", cell->why);
	return input->columns[column].stale ? "not reached" : "missing";
}

static const char *join(struct arena *arena, const char *const *names, size_t count)
{
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(1));
	size_t shown = count > NAMES_MAX ? NAMES_MAX - 1 : count;

	for (size_t i = 0; i < shown; i++)
		buf_printf(&text, "%s%s", i == 0 ? "" : i + 1 == count ? " and " : ", ", names[i]);
	if (shown < count)
		buf_printf(&text, " and %zu more", count - shown);
	return arena_str(arena, buf_slice(&text));
}

const char *words_environments(struct arena *arena, const struct compare_input *input,
			       const struct compare_row *row, enum cell_state state)
{
	const char **names = ARENA_NEW_ARRAY(arena, input->environment_count, const char *);
	size_t count = 0;

	for (size_t e = 0; e < input->environment_count; e++)
		if (row->environments[e].state == state)
			names[count++] = input->environments[e];
	return join(arena, names, count);
}

const char *words_key(struct arena *arena, const char *key)
{
	struct slice whole = slice_of(key), subject = fact_subject(whole), attribute = fact_attribute(whole);
	struct slice dimension = fact_dimension(whole);

	if (slice_is(dimension, "env") && subject.len &&
	    (attribute.len == 0 || slice_is(attribute, "value") || slice_is(attribute, "present")))
		return arena_str(arena, subject);
	if (slice_is(dimension, "file") && subject.len &&
	    (attribute.len == 0 || slice_is(attribute, "content")))
		return arena_str(arena, subject);
	if (slice_is(whole, "file/./commit"))
		return "the commit that is checked out";
	if (slice_is(dimension, "file") && subject.len)
		return arena_printf(arena, "%.*s of %.*s", SLICE_ARG(attribute), SLICE_ARG(subject));
	return arena_str(arena, whole);
}

/* Foreign text: its every byte is looked at before any is shown as it is. */
static bool is_iso(struct slice text)
{
	static const char form[] = "0000-00-00T00:00:00Z";

	for (size_t i = 0; i < text.len && text.len == CLOCK_ISO_LEN; i++)
		if (form[i] == '0' ? text.ptr[i] < '0' || text.ptr[i] > '9' : text.ptr[i] != form[i])
			return false;
	return text.len == CLOCK_ISO_LEN;
}

const char *words_time(struct arena *arena, struct slice iso, int64_t now_ms)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const struct fact as_it_is = {.kind = FACT_TEXT, .value = iso};
	char now[CLOCK_ISO_LEN + 1];
	uint64_t month = 0, day = 0;

	if (!is_iso(iso) || !slice_to_u64(slice_make(iso.ptr + 5, 2), &month) ||
	    !slice_to_u64(slice_make(iso.ptr + 8, 2), &day) || month < 1 || month > 12)
		return value_text(arena, &as_it_is);
	clock_format_iso(now_ms, now);
	const char *year = memcmp(iso.ptr, now, 4) == 0 ? "" : arena_printf(arena, "%.4s ", iso.ptr);
	return arena_printf(arena, "%d %.3s %s%.5s UTC", (int)day, months + 3 * (month - 1), year,
			    iso.ptr + 11);
}

/* The elements of `a` that `b` has not. */
static const char *more_text(struct arena *arena, struct slice a, struct slice b)
{
	const char *names[ELEMENTS_MAX];
	size_t count = 0;
	struct slice x, y, rest_b = b;
	bool has_b = fact_set_next(&rest_b, &y);

	while (count < ELEMENTS_MAX && fact_set_next(&a, &x)) {
		while (has_b && slice_compare(y, x) < 0)
			has_b = fact_set_next(&rest_b, &y);
		if (!has_b || !slice_equal(x, y)) {
			struct fact element = {.kind = FACT_TEXT, .value = x};
			names[count++] = value_text(arena, &element);
		}
	}
	return count ? join(arena, names, count) : NULL;
}

static const char *set_text(struct arena *arena, const char *environment, const struct fact *fact,
			    const char *reference, const struct fact *held)
{
	const char *more = more_text(arena, fact->value, held->value);
	const char *less = more_text(arena, held->value, fact->value);

	if (more && less)
		return arena_printf(arena, "%s has %s where %s has %s", environment, more, reference, less);
	return more ? arena_printf(arena, "%s also has %s", environment, more)
		    : arena_printf(arena, "%s lacks %s", environment, less ? less : "nothing");
}

static size_t column_with_fact(const struct compare_input *input, const struct compare_row *row,
			       size_t environment)
{
	for (size_t i = 0; i < input->column_count; i++)
		if (input->columns[i].environment == environment && row->cells[i].fact)
			return i;
	return SIZE_MAX;
}

/* The first environment but the reference that is in breach. */
static size_t first_breach(const struct compare_input *input, const struct compare_row *row)
{
	for (size_t e = 0; e < input->environment_count; e++)
		if (e != input->reference && row->environments[e].state == CELL_DRIFT)
			return e;
	return input->reference;
}

static const char *differs_text(struct arena *arena, const struct compare_input *input,
				const struct compare_row *row, const char *what)
{
	size_t environment = first_breach(input, row), reference = input->reference;
	size_t a = column_with_fact(input, row, environment), b = column_with_fact(input, row, reference);
	const char *name = input->environments[environment], *held = input->environments[reference];

	if (row->rule->kind == RULE_UNIQUE)
		return arena_printf(arena, "%s is the same in %s", what,
				    words_environments(arena, input, row, CELL_DRIFT));
	if (a == SIZE_MAX || b == SIZE_MAX || a == b)
		return arena_printf(arena, "%s is %s in %s", what,
				    a == SIZE_MAX ? "another" : words_cell(arena, input, row, a), name);
	const struct fact *x = row->cells[a].fact, *y = row->cells[b].fact;
	if (x->kind == FACT_SET && y->kind == FACT_SET)
		return arena_printf(arena, "%s: %s", what, set_text(arena, name, x, held, y));
	if (x->kind == FACT_HMAC || x->kind == FACT_DIGEST || x->value.len > 100 || y->value.len > 100)
		return arena_printf(arena, "%s is another in %s than in %s", what,
				    words_environments(arena, input, row, CELL_DRIFT), held);
	return arena_printf(arena, "%s is %s in %s and %s in %s", what, words_cell(arena, input, row, a),
			    name, words_cell(arena, input, row, b), held);
}

/* Those that have what others lack, whatever their state. */
static const char *havers(struct arena *arena, const struct compare_input *input,
			  const struct compare_row *row)
{
	const char **names = ARENA_NEW_ARRAY(arena, input->environment_count, const char *);
	size_t count = 0;

	for (size_t e = 0; e < input->environment_count; e++)
		if (row->environments[e].fact && row->environments[e].state != CELL_MISSING)
			names[count++] = input->environments[e];
	return join(arena, names, count);
}

static const char *within_text(struct arena *arena, const struct compare_input *input,
			       const struct compare_row *row, const char *what)
{
	const char **names = ARENA_NEW_ARRAY(arena, input->environment_count, const char *);
	size_t count = 0;

	for (size_t e = 0; e < input->environment_count; e++)
		if (row->environments[e].state == CELL_DRIFT || row->environments[e].state == CELL_MISSING)
			names[count++] = input->environments[e];
	return arena_printf(arena, "servers of %s differ in %s", join(arena, names, count), what);
}

const char *words_row(struct arena *arena, const struct compare_input *input, const struct compare_row *row,
		      enum finding_kind kind, enum finding_direction direction)
{
	const char *what = words_key(arena, arena_str(arena, row->key));
	const char *lacks = words_environments(arena, input, row, CELL_MISSING);

	if (kind == FINDING_WITHIN)
		return within_text(arena, input, row, what);
	if (direction != FINDING_DIFFERS && lacks[0])
		return arena_printf(arena, "%s lack%s %s, which %s ha%s", lacks,
				    strstr(lacks, " and ") ? "" : "s", what, havers(arena, input, row),
				    strstr(havers(arena, input, row), " and ") ? "ve" : "s");
	return differs_text(arena, input, row, what);
}

const char *words_advice(struct arena *arena, const char *text, const char *key, const char *environment)
{
	AUTO(buf_free) struct buf out = BUF_INIT(KIB(64));
	struct slice whole = slice_of(key), rest = slice_of(text);
	const char *command = text ? strstr(text, ": lockstep ") : NULL;

	/* Of a place without a project no command of ours knows anything. */
	if (command && strpbrk(environment, ":/"))
		rest.len = (size_t)(command - text);

	while (rest.len) {
		static const char *const names[] = {"{key}", "{subject}", "{attribute}", "{environment}"};
		const struct slice values[] = {whole, fact_subject(whole), fact_attribute(whole),
					       slice_of(environment)};
		size_t i = 0;
		while (i < ARRAY_LEN(names) && !slice_starts_with(rest, names[i]))
			i++;
		if (i < ARRAY_LEN(names)) {
			buf_put_visible(&out, values[i]);
			rest = slice_skip(rest, strlen(names[i]));
		} else {
			buf_putc(&out, rest.ptr[0]);
			rest = slice_skip(rest, 1);
		}
	}
	return arena_str(arena, buf_slice(&out));
}
