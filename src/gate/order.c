/* The order gate: a release goes on only after it is live and verified on every
 * server of every environment that stands before. What "verified" means is the
 * agent's receipt (hashed clean, checks passed, reload proved), not judged here. */
#include "gate/kinds.h"

#include "base/buf.h"
#include "base/clock.h"

enum { TEXT_MAX = 32 << 10, SHORT_DIGITS = 12 };

/* What is wrong with one server, worst first; also what there is to be done. */
enum trouble {
	TROUBLE_NONE,
	TROUBLE_UNREACHABLE,
	TROUBLE_OTHER_RELEASE,
	TROUBLE_FAILED,
	TROUBLE_NO_RECEIPT,
	TROUBLE_EDITED,
	TROUBLE_NO_HEALTH, /* from here on: not checked, rather than wrong */
	TROUBLE_EDITS_UNKNOWN,
	TROUBLES,
};

static enum trouble trouble_of(const struct gate_input *in, const struct gate_upstream *upstream,
			       const struct gate_server *server)
{
	if (!server->reachable)
		return TROUBLE_UNREACHABLE;
	if (!server->live_release || strcmp(server->live_release, in->release) != 0)
		return TROUBLE_OTHER_RELEASE;
	if (server->receipt == GATE_RECEIPT_FAILED)
		return TROUBLE_FAILED;
	if (server->receipt == GATE_RECEIPT_NONE)
		return TROUBLE_NO_RECEIPT;
	if (server->edits > 0)
		return TROUBLE_EDITED;
	if (server->receipt == GATE_RECEIPT_NOT_CHECKED && !upstream->health_none)
		return TROUBLE_NO_HEALTH;
	if (server->edits < 0)
		return TROUBLE_EDITS_UNKNOWN;
	return TROUBLE_NONE;
}

static void put_trouble(struct buf *out, const struct gate_server *server, enum trouble trouble)
{
	switch (trouble) {
	case TROUBLE_UNREACHABLE:
		buf_puts(out, "cannot be reached");
		if (server->unreachable_why && server->unreachable_why[0]) {
			buf_puts(out, " (");
			buf_put_printable(out, slice_of(server->unreachable_why));
			buf_puts(out, ")");
		}
		break;
	case TROUBLE_OTHER_RELEASE:
		if (server->live_release)
			buf_printf(out, "has release %.*s live", SHORT_DIGITS, server->live_release);
		else
			buf_puts(out, "has no release live");
		break;
	case TROUBLE_FAILED:
		buf_puts(out, "has it live, but its verification failed");
		break;
	case TROUBLE_NO_RECEIPT:
		buf_puts(out, "has it live without a receipt of verification");
		break;
	case TROUBLE_EDITED:
		buf_printf(out, "has it live with %lld file%s edited by hand", (long long)server->edits,
			   server->edits == 1 ? "" : "s");
		break;
	case TROUBLE_NO_HEALTH:
		buf_puts(out, "has it live, but no health check verifies it (not_checked)");
		break;
	case TROUBLE_EDITS_UNKNOWN:
		buf_puts(out, "has it live, but was not searched for files edited by hand (not_checked)");
		break;
	case TROUBLE_NONE:
	case TROUBLES:
		break;
	}
}

static void put_remedy(struct buf *out, const struct gate_input *in, const char *upstream,
		       enum trouble trouble)
{
	if (out->len > 0)
		buf_putc(out, '\n');
	switch (trouble) {
	case TROUBLE_UNREACHABLE:
		buf_printf(out, "make every server of %s reachable: lockstep server check %s", upstream,
			   upstream);
		break;
	case TROUBLE_OTHER_RELEASE:
		buf_printf(out, "bring the release to %s first: lockstep deploy %s --release %.*s", upstream,
			   upstream, SHORT_DIGITS, in->release);
		break;
	case TROUBLE_FAILED:
	case TROUBLE_NO_RECEIPT:
		buf_printf(out, "verify it on %s: lockstep deploy %s --release %.*s", upstream, upstream,
			   SHORT_DIGITS, in->release);
		break;
	case TROUBLE_EDITED:
		buf_printf(
			out,
			"put the files on %s back (yours are kept aside): lockstep deploy %s --release %.*s",
			upstream, upstream, SHORT_DIGITS, in->release);
		break;
	case TROUBLE_NO_HEALTH:
		buf_printf(out,
			   "give %s a health check in lockstep.yml, or write `health: none` there if that is "
			   "meant, and deploy it again",
			   upstream);
		break;
	case TROUBLE_EDITS_UNKNOWN:
		buf_printf(out, "run it again when the servers of %s can be searched", upstream);
		break;
	case TROUBLE_NONE:
	case TROUBLES:
		break;
	}
}

/* What has been found so far over all environments before. */
struct findings {
	struct buf reason;
	struct buf what_to_do;
	enum gate_state state;
};

static void free_findings(struct findings *findings)
{
	buf_free(&findings->reason);
	buf_free(&findings->what_to_do);
}

static void worsen(struct findings *findings, enum gate_state state)
{
	if (state == GATE_CLOSED || findings->state == GATE_OPEN)
		findings->state = state;
}

static void put_line_start(struct buf *out, const char *environment)
{
	if (out->len > 0)
		buf_putc(out, '\n');
	buf_put_printable(out, slice_of(environment));
	buf_puts(out, ": ");
}

static void judge_upstream(const struct gate_input *in, const struct gate_upstream *upstream,
			   struct findings *findings)
{
	bool seen[TROUBLES] = {false};
	bool clean = true;
	int64_t verified_ms = 0;
	for (size_t i = 0; i < upstream->server_count; i++) {
		const struct gate_server *server = &upstream->servers[i];
		enum trouble trouble = trouble_of(in, upstream, server);
		verified_ms = MAX(verified_ms, server->receipt_ms);
		if (trouble == TROUBLE_NONE)
			continue;
		clean = false;
		seen[trouble] = true;
		worsen(findings, trouble < TROUBLE_NO_HEALTH ? GATE_CLOSED : GATE_NOT_CHECKED);
		put_line_start(&findings->reason, upstream->environment);
		buf_put_printable(&findings->reason, slice_of(server->label));
		buf_putc(&findings->reason, ' ');
		put_trouble(&findings->reason, server, trouble);
	}
	for (enum trouble trouble = TROUBLE_UNREACHABLE; trouble < TROUBLES; trouble++)
		if (seen[trouble])
			put_remedy(&findings->what_to_do, in, upstream->environment, trouble);
	if (!clean)
		return;

	put_line_start(&findings->reason, upstream->environment);
	buf_printf(&findings->reason, "live%s on %s%zu server%s",
		   upstream->health_none ? "" : " and verified", upstream->server_count > 1 ? "all " : "",
		   upstream->server_count, upstream->server_count == 1 ? "" : "s");
	if (verified_ms > 0 && verified_ms <= in->now_ms) {
		buf_puts(&findings->reason, ", ");
		clock_put_age(&findings->reason, verified_ms, in->now_ms);
	}
	if (upstream->health_none)
		buf_puts(&findings->reason, " (health: none is declared)");
}

static int check(struct arena *arena, const struct gate_input *in, struct gate_verdict *out, struct err *err)
{
	AUTO(free_findings)
	struct findings findings = {
		.reason = BUF_INIT(TEXT_MAX),
		.what_to_do = BUF_INIT(TEXT_MAX),
		.state = GATE_OPEN,
	};
	for (size_t i = 0; i < in->upstream_count; i++)
		judge_upstream(in, &in->upstreams[i], &findings);
	if (in->upstream_count == 0)
		buf_puts(&findings.reason, "no environment stands before this one");
	(void)err; /* what can be malformed was refused by gate_check */
	out->state = findings.state;
	out->reason = arena_strdup(arena, buf_str(&findings.reason));
	out->what_to_do = arena_strdup(arena, buf_str(&findings.what_to_do));
	return 0;
}

const struct gate_kind gate_order = {
	.name = "order",
	.summary = "the release is live and verified in every environment it is promoted from",
	.hotfix_opens = true,
	.check = check,
};
