/* Asks gates: refuses malformed evidence before any gate sees it, and applies the
 * hotfix in one place. What a gate demands is in its own file. */
#include "gate/gate.h"

#include "gate/kinds.h"

#include "base/buf.h"

enum { RELEASE_HEX = 64, REASON_MAX = 1000, WHO_MAX = 255, TEXT_MAX = 40 << 10 };

const struct gate_kind *const gate_kinds[] = {
	&gate_order,
	&gate_parity,
	NULL,
};

const char *gate_state_name(enum gate_state state)
{
	static const char *const names[] = {
		[GATE_OPEN] = "open",
		[GATE_CLOSED] = "closed",
		[GATE_NOT_CHECKED] = "not_checked",
	};
	return state > 0 && (size_t)state < ARRAY_LEN(names) ? names[state] : "?";
}

/* ---- evidence ---- */

static bool is_release(const char *text)
{
	size_t len = text ? strspn(text, "0123456789abcdef") : 0;
	return len == RELEASE_HEX && text[len] == '\0';
}

static bool is_named(const char *text)
{
	return text && text[0];
}

static bool server_valid(const struct gate_server *server)
{
	if (!is_named(server->label))
		return false;
	if (!server->reachable)
		return true;
	if (server->live_release && !is_release(server->live_release))
		return false;
	if (server->receipt < GATE_RECEIPT_VERIFIED || server->receipt > GATE_RECEIPT_NONE)
		return false;
	/* Nobody verified it at no time. */
	if (server->receipt == GATE_RECEIPT_VERIFIED && server->receipt_ms <= 0)
		return false;
	return server->edits >= -1;
}

static int check_upstream(const struct gate_upstream *upstream, struct err *err)
{
	if (!is_named(upstream->environment))
		return err_set(err, ERR_INTERNAL, "the evidence names an environment before without a name");
	if (upstream->server_count == 0 || !upstream->servers)
		return err_set(err, ERR_INTERNAL, "there is no evidence about any server of %s",
			       upstream->environment);
	for (size_t i = 0; i < upstream->server_count; i++)
		if (!server_valid(&upstream->servers[i]))
			return err_set(err, ERR_INTERNAL, "the evidence about server %zu of %s is malformed",
				       i + 1, upstream->environment);
	return 0;
}

static bool finding_valid(const struct gate_finding *finding)
{
	return is_named(finding->id) && is_named(finding->key) && finding->text &&
	       finding->severity >= SEVERITY_LOW && finding->severity <= SEVERITY_CRITICAL &&
	       finding->until_ms >= 0;
}

static bool is_percent(int number)
{
	return number >= 0 && number <= 100;
}

static int check_parity(const struct gate_input *in, struct err *err)
{
	const struct gate_parity *parity = in->parity;
	if (!parity)
		return 0;
	if (!is_named(parity->with) || !is_named(parity->environment) ||
	    strcmp(parity->environment, in->environment) != 0)
		return err_set(err, ERR_INTERNAL, "the evidence of parity is not about %s", in->environment);
	if (!is_percent(parity->coverage) || !is_percent(parity->coverage_min) || parity->max_age_ms <= 0 ||
	    parity->checked_ms < 0 || parity->severity < SEVERITY_NONE ||
	    parity->severity > SEVERITY_CRITICAL || (parity->finding_count && !parity->findings) ||
	    (parity->gap_count && !parity->gaps))
		return err_set(err, ERR_INTERNAL, "the evidence of parity with %s is malformed", parity->with);
	for (size_t i = 0; i < parity->finding_count; i++)
		if (!finding_valid(&parity->findings[i]))
			return err_set(err, ERR_INTERNAL, "finding %zu of parity with %s is malformed", i + 1,
				       parity->with);
	for (size_t i = 0; i < parity->gap_count; i++)
		if (!parity->gaps[i].key || !parity->gaps[i].environment || !parity->gaps[i].why)
			return err_set(err, ERR_INTERNAL, "gap %zu of parity with %s is malformed", i + 1,
				       parity->with);
	return 0;
}

static int check_evidence(const struct gate_input *in, struct err *err)
{
	if (!is_named(in->environment))
		return err_set(err, ERR_INTERNAL, "the evidence does not say where the release is to go");
	if (!is_release(in->release))
		return err_set(err, ERR_INTERNAL, "the evidence does not say which release is to go to %s",
			       in->environment);
	if (in->now_ms <= 0)
		return err_set(err, ERR_INTERNAL, "the evidence does not say when");
	if (in->upstream_count > 0 && !in->upstreams)
		return err_set(err, ERR_INTERNAL, "the evidence about environments before is missing");
	for (size_t i = 0; i < in->upstream_count; i++)
		if (check_upstream(&in->upstreams[i], err))
			return -1;
	return check_parity(in, err);
}

static int check_hotfix(const struct gate_input *in, struct err *err)
{
	if (!in->hotfix)
		return 0;
	struct slice reason = slice_trim(slice_of(in->reason ? in->reason : ""));
	if (reason.len == 0) {
		err_set(err, ERR_USER, "--hotfix needs a reason");
		return err_hint(err, "say why in a few words: --hotfix --reason \"checkout is down\"; it is "
				     "recorded");
	}
	if (reason.len > REASON_MAX)
		return err_set(err, ERR_USER, "the reason is %zu bytes long; at most %d fit", reason.len,
			       (int)REASON_MAX);
	if (!is_named(in->who) || strlen(in->who) > WHO_MAX)
		return err_set(err, ERR_INTERNAL, "--hotfix is recorded with a name, and there is none");
	return 0;
}

/* ---- judging ---- */

/* The gate's own finding stays readable behind who took the responsibility. */
static void override(struct arena *arena, const struct gate_input *in, struct gate_verdict *out)
{
	AUTO(buf_free) struct buf reason = BUF_INIT(TEXT_MAX);
	buf_puts(&reason, "overridden by ");
	buf_put_printable(&reason, slice_of(in->who));
	buf_puts(&reason, " as a hotfix: ");
	buf_put_printable(&reason, slice_trim(slice_of(in->reason)));
	buf_printf(&reason, "\nit was %s: ", gate_state_name(out->state));
	buf_puts(&reason, out->reason);
	out->state = GATE_OPEN;
	out->overridden = true;
	out->reason = arena_strdup(arena, buf_str(&reason));
	out->what_to_do = "";
}

int gate_check(const struct gate_kind *gate, struct arena *arena, const struct gate_input *in,
	       struct gate_verdict *out, struct err *err)
{
	struct gate_verdict verdict = {.gate = gate, .reason = "", .what_to_do = ""};
	*out = (struct gate_verdict){.gate = gate, .state = GATE_NOT_CHECKED, .reason = "", .what_to_do = ""};
	if (check_hotfix(in, err))
		return -1;
	if (check_evidence(in, err) || gate->check(arena, in, &verdict, err))
		return err_wrap(err, "gate %s", gate->name);
	ASSERT(verdict.state >= GATE_OPEN && verdict.state <= GATE_NOT_CHECKED);
	ASSERT(verdict.reason && verdict.reason[0] && verdict.what_to_do);

	if (verdict.state != GATE_OPEN && gate->hotfix_opens) {
		if (in->hotfix)
			override(arena, in, &verdict);
		else
			verdict.what_to_do = arena_printf(
				arena, "%s%sin an emergency: --hotfix --reason \"...\" (recorded)",
				verdict.what_to_do, verdict.what_to_do[0] ? "\n" : "");
	}
	*out = verdict;
	return 0;
}

int gate_check_all(struct arena *arena, const struct gate_input *in, struct gate_verdicts *out,
		   struct err *err)
{
	*out = (struct gate_verdicts){
		.items = ARENA_NEW_ARRAY(arena, ARRAY_LEN(gate_kinds), struct gate_verdict)};
	bool open = true;
	for (size_t i = 0; gate_kinds[i]; i++) {
		if (gate_check(gate_kinds[i], arena, in, &out->items[i], err))
			return -1;
		out->count++;
		open = open && out->items[i].state == GATE_OPEN;
	}
	out->open = open;
	return 0;
}

int gate_require_open(const struct gate_verdicts *verdicts, struct err *err)
{
	if (verdicts->open)
		return 0;
	AUTO(buf_free) struct buf text = BUF_INIT(TEXT_MAX);
	AUTO(buf_free) struct buf hint = BUF_INIT(TEXT_MAX);
	for (size_t i = 0; i < verdicts->count; i++) {
		const struct gate_verdict *verdict = &verdicts->items[i];
		if (verdict->state == GATE_OPEN)
			continue;
		buf_printf(&text, "%sgate %s is %s: %s", text.len ? "\n" : "", verdict->gate->name,
			   gate_state_name(verdict->state), verdict->reason);
		buf_printf(&hint, "%s%s", hint.len ? "\n" : "", verdict->what_to_do);
	}
	err_set(err, ERR_GATE, "%s", text.len ? buf_str(&text) : "no gate was asked");
	return err_hint(err, "%s", buf_str(&hint));
}
