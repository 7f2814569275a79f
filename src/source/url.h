/* Addresses of repositories: what kind they are, and which are refused. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct url {
	bool local;	       /* a path on this machine */
	const char *address;   /* for git; an absolute path when local; may hold a password */
	const char *shown;     /* for people and logs */
	const char *canonical; /* names the mirror: equal for spellings of one repository */
	const char *userinfo;  /* "user:password" of an http address, to be masked; NULL */
};

/* Relative paths are relative to base_dir. Local paths are not looked at here. */
int url_parse(const char *text, const char *base_dir, struct arena *arena, struct url *out,
	      struct err *err) CHECKED;

/* A submodule's URL as git resolves it: "./x" and "../x" against the parent's
 * address, anything else as it is. */
int url_resolve(const char *parent, const char *text, struct arena *arena, const char **out,
		struct err *err) CHECKED;
