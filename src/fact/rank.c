/* Which finding to put right first, and why. The factors stand in one place, each with the
 * words it is explained by. */
#include "fact/finding.h"

#include <stdio.h>
#include <stdlib.h>

static const double DAY_MS = 24.0 * 3600 * 1000;

static double severity_weight(enum severity severity)
{
	static const double weights[] = {[SEVERITY_NONE] = 1,
					 [SEVERITY_LOW] = 1,
					 [SEVERITY_MEDIUM] = 3,
					 [SEVERITY_HIGH] = 10,
					 [SEVERITY_CRITICAL] = 30};

	return (size_t)severity < ARRAY_LEN(weights) ? weights[severity] : 1;
}

static void say(struct buf *why, const char *format, ...) PRINTF(2, 3);
static void say(struct buf *why, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_printf(why, "%s%s", why->len ? "; " : "", text);
}

static double pending_factor(const struct pending *pending, const struct finding *finding, struct buf *why)
{
	const char *reason = NULL;

	if (!pending || !pending->touches ||
	    !pending->touches(pending->context, slice_of(finding->key), &reason))
		return 1;
	say(why, "%s", reason && reason[0] ? reason : "the pending release touches it");
	return 3;
}

/* What the reference has and another lacks passes there untested. */
static double direction_factor(const struct finding *finding, const char *reference, struct buf *why)
{
	switch (finding->direction) {
	case FINDING_REFERENCE_HAS:
		say(why, "%s has it, others lack it: nobody tests with it",
		    reference ? reference : "the reference");
		return 1.5;
	case FINDING_REFERENCE_LACKS:
		say(why, "%s lacks it: what passes elsewhere fails there",
		    reference ? reference : "the reference");
		return 1.3;
	case FINDING_DIFFERS:
		break;
	}
	return 1;
}

static double age_factor(const struct finding *finding, int64_t now_ms, struct buf *why)
{
	double days = finding->first_seen_ms > 0 && now_ms > finding->first_seen_ms
			      ? (double)(now_ms - finding->first_seen_ms) / DAY_MS
			      : 0;

	if (days < 1)
		return 1;
	say(why, "%.0f day%s", days, days < 1.5 ? "" : "s");
	return 1 + MIN(days, 60) / 60;
}

static double confidence_factor(const struct finding *finding, struct buf *why)
{
	bool stale = false, unchecked = false;

	for (size_t i = 0; i < finding->cell_count; i++) {
		stale |= finding->cells[i].state == CELL_STALE;
		unchecked |= finding->cells[i].state == CELL_NOT_CHECKED;
	}
	if (stale)
		say(why, "part of it was seen earlier only");
	if (unchecked)
		say(why, "part of it was not checked");
	return (stale ? 0.7 : 1) * (unchecked ? 0.9 : 1);
}

static double kind_factor(const struct finding *finding, struct buf *why)
{
	switch (finding->kind) {
	case FINDING_HAND_CHANGE:
		say(why, "changed by hand: the next deployment may undo it");
		return 1.5;
	case FINDING_WITHIN:
		say(why, "servers of one environment answer differently");
		return 1.3;
	case FINDING_NOT_DEPLOYED:
		say(why, "goes away with the next deployment");
		return 0.5;
	case FINDING_UNNEEDED:
		say(why, "only a rule to remove");
		return 0.5;
	case FINDING_DRIFT:
	case FINDING_LAPSED:
		break;
	}
	return 1;
}

static int by_score(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int order = (x->score < y->score) - (x->score > y->score);

	order = order ? order : strcmp(x->key, y->key);
	order = order ? order : (int)x->kind - (int)y->kind;
	return order ? order : strcmp(x->id, y->id);
}

void findings_rank(struct arena *arena, struct findings *findings, const struct pending *pending,
		   int64_t now_ms)
{
	for (size_t i = 0; i < findings->count; i++) {
		struct finding *finding = &findings->items[i];
		AUTO(buf_free) struct buf why = BUF_INIT(KIB(4));
		say(&why, "%s", severity_name(finding->severity));
		finding->score = severity_weight(finding->severity);
		finding->score *= pending_factor(pending, finding, &why);
		finding->score *= direction_factor(finding, findings->reference, &why);
		finding->score *= age_factor(finding, now_ms, &why);
		finding->score *= kind_factor(finding, &why);
		finding->score *= confidence_factor(finding, &why);
		finding->why = arena_str(arena, buf_slice(&why));
	}
	if (findings->count)
		qsort(findings->items, findings->count, sizeof(*findings->items), by_score);
}
