/* The script that starts the agent on a server, and the reading of its words. */
#include "target/bootstrap.h"

#include "base/random.h"

#include <stdio.h>

/* Without backslash and exclamation mark: csh and fish read them even inside
 * single quotes. */
const char bootstrap_command[] = "exec /bin/sh -c 'IFS= read -r s && eval \"$s\"'";

static const char mark_prefix[] = "lockstep-";

void bootstrap_mark_make(char mark[BOOTSTRAP_MARK_LEN + 1])
{
	uint8_t nonce[16];
	char hex[2 * sizeof(nonce) + 1];
	random_bytes(nonce, sizeof(nonce));
	hex_encode(nonce, sizeof(nonce), hex);
	snprintf(mark, BOOTSTRAP_MARK_LEN + 1, "%s%s", mark_prefix, hex);
}

void bootstrap_quote(struct buf *out, const char *text)
{
	buf_putc(out, '\'');
	for (; *text; text++) {
		if (*text == '\'')
			buf_puts(out, "'\\''");
		else if (*text == '\n')
			buf_puts(out, "'\"$n\"'");
		else
			buf_putc(out, *text);
	}
	buf_putc(out, '\'');
}

/* $m mark, $g machine of the agent that was sent with the script and $q its size (empty and 0:
 * none was), $e early bytes behind that (both are dropped when another agent has to be sent
 * first; they come again behind it), $a machine, $d digest, $z size, $p place, $l its .lockstep, $f the agent,
 * $t what is temporary. `ok` holds for a file that is really the agent: regular, not
 * a link, ours, and with the right digest. */
/* `take` reads so many bytes and not one more, which busybox's head does not do.
 * /proc/sys/kernel/arch is there from Linux 6.1 on and saves a process. */
static const char script_tools[] =
	"umask 077; "
	"say() { printf '%s %s\\n' \"$m\" \"$*\"; }; "
	"die() { say fail \"$@\"; exit 1; }; "
	"for c in sha256sum dd mktemp; do command -v $c >/dev/null 2>&1 || die tool $c; done; "
	"ok() { [ -f \"$1\" ] && [ ! -h \"$1\" ] && [ -O \"$1\" ] && "
	"[ \"$(sha256sum <\"$1\" 2>/dev/null)\" = \"$d  -\" ]; }; "
	"there() { [ -e \"$1\" ] || [ -h \"$1\" ]; }; "
	"take() { dd bs=\"$1\" count=1 iflag=fullblock 2>/dev/null; }; "
	"drop() { [ \"$1\" = 0 ] || take \"$1\" >/dev/null; }; "
	"get() { [ \"$g\" = \"$a\" ] || { drop $((q + e)); say need \"$a\"; }; take \"$z\" >\"$1\" && "
	"chmod 700 \"$1\" && ok \"$1\"; }; "
	"read -r a 2>/dev/null </proc/sys/kernel/arch || "
	"{ set -- $(uname -sm); a=$2; [ \"$1\" = Linux ] || die system \"$1\"; }; ";

static const char script_place[] =
	"case $p in /*) ;; '~') p=$HOME;; '~/'*) p=$HOME/${p#??};; *) p=$HOME/$p;; esac; "
	"l=$p/.lockstep; f=$l/agent-$d; ";

/* The place itself is for the web server's eyes too, hence the other umask. */
static const char script_serve[] =
	"if ok \"$f\"; then drop \"$q\"; else "
	"[ -d \"$p\" ] || ! there \"$p\" || die file \"$p\"; "
	"[ -d \"$p\" ] || (umask 022; mkdir -p \"$p\") || die make \"$p\"; "
	"[ -h \"$l\" ] && die link \"$l\"; "
	"[ -d \"$l\" ] || mkdir \"$l\" || [ -d \"$l\" ] || die make \"$l\"; "
	"[ -O \"$l\" ] || die owner \"$l\"; "
	"there \"$f\" && say warn tampered \"$f\"; "
	"t=$(mktemp \"$l/agent-new.XXXXXX\") || die make \"$l\"; trap 'rm -f \"$t\"' EXIT; "
	"get \"$t\" || die store \"$l\"; "
	"rm -rf \"$f\"; mv -f \"$t\" \"$f\" || die store \"$f\"; trap - EXIT; fi; "
	"say start; exec \"$f\" serve \"$p\"\n";

/* Nothing is left behind: the agent is started through a descriptor when its file
 * is gone already. The little test tells a folder where nothing may be executed
 * from everything else that could go wrong. */
static const char script_observe[] =
	"if ok \"$f\"; then drop \"$q\"; say start; exec \"$f\" observe \"$p\"; fi; "
	"[ -O \"$f\" ] && say warn tampered \"$f\"; "
	"t=$(mktemp -d \"${TMPDIR:-/tmp}/lockstep.XXXXXX\") || die make \"${TMPDIR:-/tmp}\"; "
	"trap 'rm -rf \"$t\"' EXIT; trap 'exit 1' HUP INT TERM; "
	"printf '#!/bin/sh\\n' >\"$t/x\" && chmod 700 \"$t/x\" || die store \"$t\"; "
	"\"$t/x\" 2>/dev/null || die noexec \"${TMPDIR:-/tmp}\"; "
	"get \"$t/agent\" || die store \"$t\"; "
	"exec 3<\"$t/agent\"; rm -rf \"$t\"; trap - EXIT; "
	"say start; exec /proc/self/fd/3 observe \"$p\"\n";

static void variable_put(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	buf_printf(out, "%s=", name);
	bootstrap_quote(out, value);
	buf_printf(out, "; export %s; ", name);
}

void bootstrap_script_put(struct buf *out, const struct bootstrap *bootstrap)
{
	const struct agent_image *pushed = bootstrap->pushed;
	if (strchr(bootstrap->path, '\n'))
		buf_puts(out, "n=$(printf '\\nx'); n=${n%x}; ");
	buf_printf(out, "m=%s; g=%s; q=%zu; e=%zu; ", bootstrap->mark, pushed ? pushed->arch : "",
		   pushed ? pushed->bytes.len : (size_t)0, bootstrap->early_len);
	buf_puts(out, script_tools);
	buf_puts(out, "case $a in ");
	for (size_t i = 0; i < bootstrap->image_count; i++) {
		const struct agent_image *image = &bootstrap->images[i];
		char hex[DIGEST_HEX_LEN + 1];
		digest_to_hex(&image->digest, hex);
		buf_printf(out, "%s) d=%s; z=%zu;; ", image->arch, hex, image->bytes.len);
	}
	buf_puts(out, "*) die arch \"$a\";; esac; p=");
	bootstrap_quote(out, bootstrap->path);
	buf_puts(out, "; ");
	buf_puts(out, script_place);
	variable_put(out, "LOCKSTEP_FAULT", bootstrap->fault);
	variable_put(out, "LOCKSTEP_FAULT_LIST", bootstrap->fault_list);
	buf_puts(out, bootstrap->observe ? script_observe : script_serve);
}

static int noise_error(const struct buf *seen, struct err *err)
{
	AUTO(buf_free) struct buf quoted = BUF_INIT(1024);
	buf_put_printable(&quoted, slice_make(seen->ptr, MIN(seen->len, (size_t)120)));
	err_set(err, ERR_NETWORK,
		"the server prints without end instead of starting our script; it begins with: %s",
		buf_str(&quoted));
	return err_hint(err, "look at the start-up files of the login shell there (.bashrc, .cshrc, ...)");
}

int bootstrap_read(struct buf *seen, const char *mark, struct arena *arena, enum bootstrap_word *word,
		   const char **what, const char **text, struct err *err)
{
	*word = BOOTSTRAP_MORE;
	*what = *text = "";
	const char *at = seen->len ? memmem(seen->ptr, seen->len, mark, strlen(mark)) : NULL;
	if (!at)
		return seen->len > BOOTSTRAP_NOISE_MAX ? noise_error(seen, err) : 0;
	struct slice line = slice_make(at, seen->len - (size_t)(at - seen->ptr));
	ptrdiff_t end = slice_find(line, '\n');
	if (end < 0)
		return line.len > BOOTSTRAP_LINE_MAX ? noise_error(seen, err) : 0;
	size_t used = (size_t)(at - seen->ptr) + (size_t)end + 1;
	line.len = (size_t)end;
	struct slice rest = slice_skip(line, strlen(mark));
	slice_cut(&rest, ' ');
	struct slice name = rest.ptr ? slice_cut(&rest, ' ') : slice_make("", 0);
	struct slice first = rest.ptr ? slice_cut(&rest, ' ') : slice_make("", 0);
	*what = arena_str(arena, first);
	*text = rest.ptr ? arena_str(arena, rest) : "";
	if (slice_is(name, "need"))
		*word = BOOTSTRAP_NEED;
	else if (slice_is(name, "warn"))
		*word = BOOTSTRAP_WARN;
	else if (slice_is(name, "fail"))
		*word = BOOTSTRAP_FAIL;
	else if (slice_is(name, "start"))
		*word = BOOTSTRAP_START;
	else
		return err_set(err, ERR_NETWORK, "the script that starts the agent said something unknown");
	buf_consume(seen, used);
	return 0;
}

static void supported_put(struct buf *out, const struct bootstrap *bootstrap)
{
	for (size_t i = 0; i < bootstrap->image_count; i++)
		buf_printf(out, "%s%s", i ? ", " : "", bootstrap->images[i].arch);
}

int bootstrap_explain(const char *what, const char *text, const struct bootstrap *bootstrap,
		      const char *errors, struct err *err)
{
	AUTO(buf_free) struct buf shown = BUF_INIT(1024);
	AUTO(buf_free) struct buf supported = BUF_INIT(1024);
	AUTO(buf_free) struct buf said = BUF_INIT(1024);
	struct slice last = slice_trim(slice_of(errors));
	if (last.len > 200)
		last = slice_skip(last, last.len - 200);
	/* `text` is what follows the first word, which belongs to it. */
	buf_put_printable(&shown, slice_of(text));
	supported_put(&supported, bootstrap);
	if (last.len) {
		buf_puts(&said, ": ");
		buf_put_printable(&said, last);
	}
	const char *where = buf_str(&shown);
	if (strcmp(what, "system") == 0) {
		err_set(err, ERR_USER, "the server runs %s; the agent is for Linux", where);
	} else if (strcmp(what, "arch") == 0) {
		err_set(err, ERR_USER, "the server's processor is %s, for which this program holds no agent",
			where);
		err_hint(err, "supported are: %s", buf_str(&supported));
	} else if (strcmp(what, "tool") == 0) {
		err_set(err, ERR_NOT_FOUND, "the server has no %s", where);
		err_hint(err, "install coreutils or busybox there");
	} else if (strcmp(what, "make") == 0) {
		err_set(err, ERR_DENIED, "cannot create %s on the server%s", where, buf_str(&said));
		err_hint(err,
			 "create the folder once and give it to the deploy user: sudo install -d -o USER %s",
			 bootstrap->path);
	} else if (strcmp(what, "file") == 0) {
		err_set(err, ERR_CONFLICT, "%s on the server is no folder", where);
		err_hint(err, "move it away, or give the environment another `path`");
	} else if (strcmp(what, "link") == 0) {
		err_set(err, ERR_DENIED, "%s on the server is a symbolic link, which is never followed",
			where);
	} else if (strcmp(what, "owner") == 0) {
		err_set(err, ERR_DENIED, "%s on the server belongs to another user", where);
		err_hint(err, "deploy as the user who deployed before, or give the folder to this one");
	} else if (strcmp(what, "store") == 0) {
		err_set(err, ERR_INTERNAL, "the agent could not be stored in %s on the server%s", where,
			buf_str(&said));
		err_hint(err, "is the disk full, or the quota used up?");
	} else if (strcmp(what, "noexec") == 0) {
		err_set(err, ERR_DENIED, "programs cannot be run from %s on the server (mounted noexec?)",
			where);
		err_hint(err, "set TMPDIR for that user to a folder where they can");
	} else {
		err_set(err, ERR_INTERNAL, "the agent could not be started: %s %s%s", what, where,
			buf_str(&said));
	}
	return -1;
}
