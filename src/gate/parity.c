/* The parity gate: a release goes on only where the environment was found like the one it
 * must be like, lately, and enough of it was looked at. What is a difference, how bad it is
 * and which rule lets it be is src/fact's; who looks, and when, is the engine's. */
#include "gate/kinds.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdlib.h>

enum { TEXT_MAX = 32 << 10, PART_MAX = 160, FINDINGS_SHOWN = 10, GAPS_SHOWN = 5, EXCEPTIONS_SHOWN = 5 };

struct judging {
	const struct gate_input *in;
	const struct gate_parity *parity;
	struct buf reason, what_to_do;
};

static void free_judging(struct judging *judging)
{
	buf_free(&judging->reason);
	buf_free(&judging->what_to_do);
}

static void put_line_start(struct buf *out)
{
	if (out->len > 0)
		buf_putc(out, '\n');
}

/* Keys and values may be long; what is cut is seen by `lockstep diff`. */
static void put_part(struct buf *out, const char *text)
{
	struct slice part = slice_of(text);
	bool cut = part.len > PART_MAX;
	part.len = MIN(part.len, (size_t)PART_MAX);
	buf_put_visible(out, part);
	if (cut)
		buf_puts(out, "...");
}

static void put_look_again(struct judging *judging)
{
	put_line_start(&judging->what_to_do);
	buf_printf(&judging->what_to_do, "look again: lockstep diff %s %s", judging->parity->with,
		   judging->parity->environment);
}

/* A rule whose day is over lets nothing differ. */
static bool is_excepted(const struct judging *judging, const struct gate_finding *finding)
{
	return finding->allowed_by && (!finding->until_ms || judging->in->now_ms < finding->until_ms);
}

static bool is_let_through(const struct judging *judging, const struct gate_finding *finding)
{
	return finding->severity <= judging->parity->severity || is_excepted(judging, finding);
}

static int compare_findings(const void *a, const void *b)
{
	const struct gate_finding *x = *(const struct gate_finding *const *)a,
				  *y = *(const struct gate_finding *const *)b;
	if (x->severity != y->severity)
		return x->severity < y->severity ? 1 : -1;
	int order = strcmp(x->key, y->key);
	return order ? order : strcmp(x->id, y->id);
}

static int compare_gaps(const void *a, const void *b)
{
	const struct gate_gap *x = *(const struct gate_gap *const *)a,
			      *y = *(const struct gate_gap *const *)b;
	if (x->rows != y->rows)
		return x->rows < y->rows ? 1 : -1;
	int order = strcmp(x->key, y->key);
	return order ? order : strcmp(x->environment, y->environment);
}

static const struct gate_finding **sorted_findings(struct arena *arena, const struct gate_parity *parity)
{
	const struct gate_finding **items =
		ARENA_NEW_ARRAY(arena, parity->finding_count, const struct gate_finding *);
	for (size_t i = 0; i < parity->finding_count; i++)
		items[i] = &parity->findings[i];
	if (parity->finding_count)
		qsort(items, parity->finding_count, sizeof(const struct gate_finding *), compare_findings);
	return items;
}

/* ---- what cannot be judged ---- */

/* False: there is nothing to judge by. */
static bool is_looked_at(struct judging *judging)
{
	const struct gate_parity *parity = judging->parity;
	struct buf *reason = &judging->reason;
	int64_t age_ms = judging->in->now_ms - parity->checked_ms;

	if (parity->not_checked_why) {
		buf_printf(reason, "%s could not be held against %s: ", parity->environment, parity->with);
		put_part(reason, parity->not_checked_why);
	} else if (parity->checked_ms == 0) {
		buf_printf(reason, "%s was never held against %s", parity->environment, parity->with);
	} else if (age_ms < 0) {
		buf_printf(reason, "the last look at %s and %s lies in the future: a clock is wrong",
			   parity->environment, parity->with);
	} else if (age_ms > parity->max_age_ms) {
		buf_printf(reason, "the last look at %s and %s was ", parity->environment, parity->with);
		clock_put_age(reason, parity->checked_ms, judging->in->now_ms);
		buf_puts(reason, "; it may be no older than ");
		clock_put_duration(reason, parity->max_age_ms);
	} else {
		return true;
	}
	put_look_again(judging);
	return false;
}

static const struct gate_gap **sorted_gaps(struct arena *arena, const struct gate_parity *parity)
{
	const struct gate_gap **items = ARENA_NEW_ARRAY(arena, parity->gap_count, const struct gate_gap *);

	for (size_t i = 0; i < parity->gap_count; i++)
		items[i] = &parity->gaps[i];
	if (parity->gap_count)
		qsort(items, parity->gap_count, sizeof(const struct gate_gap *), compare_gaps);
	return items;
}

static void list_gaps(struct judging *judging, const struct gate_gap *const *gaps, const char *word)
{
	const struct gate_parity *parity = judging->parity;
	struct buf *reason = &judging->reason;

	for (size_t i = 0; i < MIN(parity->gap_count, (size_t)GAPS_SHOWN); i++) {
		buf_printf(reason, "\n  %s", word);
		put_part(reason, gaps[i]->key);
		buf_puts(reason, " of ");
		put_part(reason, gaps[i]->environment);
		buf_puts(reason, ": ");
		put_part(reason, gaps[i]->why);
	}
	if (parity->gap_count > GAPS_SHOWN)
		buf_printf(reason, "\n  and %zu more gaps", parity->gap_count - GAPS_SHOWN);
}

static void put_gaps(struct judging *judging, struct arena *arena)
{
	const struct gate_parity *parity = judging->parity;
	struct buf *reason = &judging->reason;
	const struct gate_gap **gaps = sorted_gaps(arena, parity);

	put_line_start(reason);
	buf_printf(reason,
		   "only %d %% of what was to be looked at was looked at (not_checked); %d %% are required",
		   parity->coverage, parity->coverage_min);
	list_gaps(judging, gaps, "");
	put_line_start(&judging->what_to_do);
	buf_printf(&judging->what_to_do,
		   "see what was not looked at, and why: lockstep diff %s %s --coverage", parity->with,
		   parity->environment);
}

/* ---- what was found ---- */

static void put_finding(struct judging *judging, const struct gate_finding *finding)
{
	struct buf *reason = &judging->reason;

	buf_printf(reason, "\n  %s ", severity_name(finding->severity));
	put_part(reason, finding->id);
	buf_putc(reason, ' ');
	put_part(reason, finding->key);
	if (finding->text[0]) {
		buf_puts(reason, ": ");
		put_part(reason, finding->text);
	}
	if (finding->allowed_by)
		buf_puts(reason, " (the rule that allowed it has lapsed)");
}

static void put_closing(struct judging *judging, const struct gate_finding *const *findings, size_t closing)
{
	const struct gate_parity *parity = judging->parity;
	struct buf *reason = &judging->reason, *what_to_do = &judging->what_to_do;
	size_t shown = 0;
	const char *worst = NULL;

	buf_printf(reason, "%s differs from %s: %zu finding%s", parity->environment, parity->with, closing,
		   closing == 1 ? "" : "s");
	if (parity->severity)
		buf_printf(reason, " above %s", severity_name(parity->severity));
	for (size_t i = 0; i < parity->finding_count && shown < FINDINGS_SHOWN; i++) {
		if (is_let_through(judging, findings[i]))
			continue;
		worst = worst ? worst : findings[i]->id;
		put_finding(judging, findings[i]);
		shown++;
	}
	if (closing > shown)
		buf_printf(reason, "\n  and %zu more", closing - shown);
	put_line_start(what_to_do);
	buf_printf(what_to_do,
		   "see all of it: lockstep diff %s %s\n"
		   "make the code say it, or put the server back: lockstep accept %s, lockstep revert %s\n"
		   "or let it differ until a day: lockstep allow add %s --owner WHO --reason \"...\" --until "
		   "DAY",
		   parity->with, parity->environment, worst, worst, worst);
}

/* A whole database may be one gap among a thousand facts: what was not looked at is told also
 * where enough was. */
static void put_overlooked(struct judging *judging, struct arena *arena)
{
	list_gaps(judging, sorted_gaps(arena, judging->parity), "not looked at: ");
}

/* Why it is open, the exceptions that stand named, so that nobody forgets them. */
static void put_open(struct judging *judging, struct arena *arena, const struct gate_finding *const *findings)
{
	const struct gate_parity *parity = judging->parity;
	struct buf *reason = &judging->reason;
	size_t let = 0, excepted = 0, shown = 0;

	for (size_t i = 0; i < parity->finding_count; i++) {
		excepted += is_excepted(judging, findings[i]);
		let += !is_excepted(judging, findings[i]);
	}
	buf_printf(reason, "%s is like %s: ", parity->environment, parity->with);
	if (parity->severity)
		buf_printf(reason, "no finding above %s", severity_name(parity->severity));
	else
		buf_puts(reason, "no finding");
	if (let)
		buf_printf(reason, " (%zu let through)", let);
	buf_printf(reason, ", %d %% looked at, ", parity->coverage);
	clock_put_age(reason, parity->checked_ms, judging->in->now_ms);
	for (size_t i = 0; i < parity->finding_count && shown < EXCEPTIONS_SHOWN; i++) {
		if (!is_excepted(judging, findings[i]))
			continue;
		char day[CLOCK_ISO_LEN + 1];
		shown++;
		buf_puts(reason, "\n  allowed");
		if (findings[i]->until_ms) {
			clock_format_iso(findings[i]->until_ms - 1, day);
			buf_printf(reason, " until %.10s", day);
		}
		buf_puts(reason, ": ");
		put_part(reason, findings[i]->key);
		buf_puts(reason, ": ");
		put_part(reason, findings[i]->allowed_by);
	}
	if (excepted > shown)
		buf_printf(reason, "\n  and %zu more allowed", excepted - shown);
	put_overlooked(judging, arena);
}

static enum gate_state judge(struct judging *judging, struct arena *arena)
{
	const struct gate_parity *parity = judging->parity;
	size_t closing = 0;

	if (!is_looked_at(judging))
		return GATE_NOT_CHECKED;
	const struct gate_finding **findings = sorted_findings(arena, parity);
	for (size_t i = 0; i < parity->finding_count; i++)
		closing += !is_let_through(judging, findings[i]);
	if (closing)
		put_closing(judging, findings, closing);
	if (parity->coverage < parity->coverage_min)
		put_gaps(judging, arena);
	if (closing)
		return GATE_CLOSED;
	if (parity->coverage < parity->coverage_min)
		return GATE_NOT_CHECKED;
	put_open(judging, arena, findings);
	return GATE_OPEN;
}

static int check(struct arena *arena, const struct gate_input *in, struct gate_verdict *out, struct err *err)
{
	AUTO(free_judging)
	struct judging judging = {
		.in = in,
		.parity = in->parity,
		.reason = BUF_INIT(TEXT_MAX),
		.what_to_do = BUF_INIT(TEXT_MAX),
	};
	(void)err; /* what can be malformed was refused by gate_check */
	if (in->parity) {
		out->state = judge(&judging, arena);
	} else {
		out->state = GATE_OPEN;
		buf_printf(&judging.reason, "not required of %s (no parity_with)", in->environment);
	}
	out->reason = arena_strdup(arena, buf_str(&judging.reason));
	out->what_to_do = arena_strdup(arena, buf_str(&judging.what_to_do));
	return 0;
}

const struct gate_kind gate_parity = {
	.name = "parity",
	.summary = "the environment was found like the one it must be like",
	.hotfix_opens = true,
	.check = check,
};
