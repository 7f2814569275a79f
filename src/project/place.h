/* A place: where releases of one environment go on one server, parsed from the
 * text a person wrote. Pure; the only reader of that syntax.
 *
 *	[user@]host[:path]                 as scp: the path is relative to the home
 *	                                   folder unless it starts with `/`
 *	ssh://[user@]host[:port][/path]    the path is absolute
 *	local:///path                      this machine
 *
 * IPv6 addresses stand in brackets. Users and hosts that begin with `-` or hold
 * anything but plain characters are refused, because they become arguments of
 * ssh. */
#pragma once

#include "doc/diag.h"
#include "target/address.h" /* enum place_kind */

struct place {
	enum place_kind kind;
	const char *user; /* NULL: ssh decides */
	const char *
		host; /* without brackets; an alias of the user's ssh configuration is fine; NULL for local */
	int port;     /* 0: ssh decides */
	const char *path;      /* NULL: not given. Without final slash, no `.` or `..` component */
	bool path_is_relative; /* to the home folder */
	const char *text;      /* as written */
	struct origin origin;  /* line 0 when it did not come from a file */
};

enum { PLACE_TEXT_MAX = 1024 };

/* `origin` is taken over as it is (pass (struct origin){ 0 } for command lines). */
int place_parse(struct arena *arena, struct slice text, struct origin origin, struct place *out,
		struct err *err) CHECKED;
/* Checks and cleans a path given apart (deploy.path): absolute, or relative to
 * the home folder (`~/` in front is taken off). */
int place_set_path(struct arena *arena, const char *path, struct place *place, struct err *err) CHECKED;

/* One canonical text per place: two places are the same when these are equal.
 * The user counts only where the path is relative to a home folder:
 * "ssh://host:22/var/www/shop", "ssh://user@host:22/~/shop", "local:///srv". */
const char *place_key(struct arena *arena, const struct place *place);
/* For people: "deploy@host:/var/www/shop". */
const char *place_label(struct arena *arena, const struct place *place);
