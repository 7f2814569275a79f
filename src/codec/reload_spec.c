#include "codec/reload_spec.h"

#include <signal.h>

static const char *const names[] = {
	[RELOAD_NONE] = "none",	      [RELOAD_SYSTEMD] = "systemd", [RELOAD_SUPERVISOR] = "supervisor",
	[RELOAD_PIDFILE] = "pidfile", [RELOAD_COMMAND] = "command",
};

static const struct {
	const char *name;
	int number;
} signals[] = {
	{"HUP", SIGHUP}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2},	 {"TERM", SIGTERM},
	{"INT", SIGINT}, {"QUIT", SIGQUIT}, {"WINCH", SIGWINCH},
};

const char *reload_spec_name(enum reload_spec_kind kind)
{
	ASSERT(kind >= RELOAD_NONE && kind <= RELOAD_COMMAND);
	return names[kind];
}

static int signal_number(struct slice name)
{
	if (slice_starts_with(name, "SIG"))
		name = slice_skip(name, 3);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (slice_is(name, signals[i].name))
			return signals[i].number;
	return 0;
}

static bool has_control(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
			return true;
	return false;
}

/* Letters, digits and `more`. It goes into command lines. */
static bool is_plain_name(struct slice name, const char *more)
{
	if (!name.len || name.ptr[0] == '-' || name.len > RELOAD_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!plain && !memchr(more, c, strlen(more)))
			return false;
	}
	return true;
}

/* The last colon always begins a signal. */
static const char *parse_pidfile(struct slice rest, struct reload_spec *out)
{
	const char *colon = rest.len ? memrchr(rest.ptr, ':', rest.len) : NULL;
	struct slice path = slice_make(rest.ptr, colon ? (size_t)(colon - rest.ptr) : rest.len);
	int number = colon ? signal_number(slice_skip(rest, path.len + 1)) : SIGHUP;

	if (!path.len)
		return "needs the path of a pid file, absolute or relative to `path`";
	if (!number)
		return "names no signal; known are HUP, USR1, USR2, TERM, INT, QUIT and WINCH";
	out->signal = number;
	out->subject = path;
	return NULL;
}

static const char *parse_subject(struct slice rest, struct reload_spec *out)
{
	switch (out->kind) {
	case RELOAD_NONE:
		return rest.ptr ? "takes nothing behind `none`" : NULL;
	case RELOAD_SYSTEMD: /* systemd.unit(5) */
		if (!is_plain_name(rest, "@._:\\-"))
			return "needs the name of a unit, such as systemd:php8.3-fpm";
		break;
	case RELOAD_SUPERVISOR:
		if (!is_plain_name(rest, "@._:*-"))
			return "needs the name of a program, such as supervisor:worker";
		break;
	case RELOAD_PIDFILE:
		return parse_pidfile(rest, out);
	case RELOAD_COMMAND:
		if (!slice_trim(rest).len)
			return "needs a shell command behind the colon";
		break;
	}
	out->subject = rest;
	return NULL;
}

const char *reload_spec_parse(struct slice text, struct reload_spec *out)
{
	struct slice rest = text, word = slice_cut(&rest, ':');

	*out = (struct reload_spec){.subject = SLICE("")};
	if (has_control(text))
		return "must not hold control characters";
	for (size_t i = RELOAD_NONE; i < ARRAY_LEN(names); i++)
		if (slice_is(word, names[i]))
			out->kind = (enum reload_spec_kind)i;
	return out->kind ? parse_subject(rest, out) : "is not a way to reload";
}

bool reload_spec_is(struct slice text, enum reload_spec_kind kind, struct slice *subject_out)
{
	struct reload_spec spec;

	if (reload_spec_parse(text, &spec) || spec.kind != kind)
		return false;
	*subject_out = spec.subject;
	return true;
}
