/* How an application takes up a new activation, in one text: as it is written in lockstep.yml,
 * sent to agents, and given to probes. One parser, so that all of them read the same.
 *
 *	none
 *	systemd:UNIT
 *	supervisor:PROGRAM
 *	pidfile:PATH[:SIGNAL]      HUP unless given, with or without "SIG"
 *	command:SHELL COMMAND
 *
 * Units and programs hold only characters that no shell reads differently. */
#pragma once

#include "base/slice.h"

enum reload_spec_kind { RELOAD_NONE = 1, RELOAD_SYSTEMD, RELOAD_SUPERVISOR, RELOAD_PIDFILE, RELOAD_COMMAND };
enum { RELOAD_NAME_MAX = 255 };

struct reload_spec {
	enum reload_spec_kind kind; /* 0: none of them */
	struct slice subject;	    /* unit, program, path, command, in the text; empty for none */
	int signal;		    /* RELOAD_PIDFILE only */
};

/* NULL when fine, else what is wrong, to be put behind "`x` "; then `out` says no more than the
 * kind, where it is known. */
const char *reload_spec_parse(struct slice text, struct reload_spec *out);
/* Whether it is fine and of that kind; then what it is about. */
bool reload_spec_is(struct slice text, enum reload_spec_kind kind, struct slice *subject_out);
/* The word before the colon. */
const char *reload_spec_name(enum reload_spec_kind kind);
