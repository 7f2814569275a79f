/* What a release asks of its runtimes, by the files that say so, and what programs say of
 * their version. Pure: foreign text goes in, what comes out points into it. */
#pragma once

#include "base/slice.h"

/* The text at a path of keys in a JSON object, as it stands between its quotes; ptr NULL: it
 * is not there, is no text, or what stands before it is no JSON. At most 64 levels deep. */
struct slice pin_json(struct slice text, const char *const *path, size_t depth);
/* The value of `key = "…"` below [section]; section "" : before the first one. */
struct slice pin_toml(struct slice text, const char *section, const char *key);
/* Of NAME="value" lines (os-release(5), locale.conf(5)), without the quotes. */
struct slice pin_assignment(struct slice text, const char *name);
/* The first word that is no comment, without "v", "ruby-", "node/" and the like before it. */
struct slice pin_plain(struct slice text);
/* The next "name version" of .tool-versions; asdf's names are made ours (nodejs: node). */
bool pin_tool_next(struct slice *rest, struct slice *name, struct slice *version);
/* "3.2.2" of Gemfile.lock's RUBY VERSION. */
struct slice pin_gemfile(struct slice text);
/* "1.22" of go.mod. */
struct slice pin_go(struct slice text);

/* Whether a version is what a plain pin asks for: "20" or "20.x" is met by "20.11.1". False in
 * *known when the pin is no plain version (a range, "lts/iron"). */
bool pin_is_met(struct slice pin, struct slice version, bool *known);

/* The version in a program's own words: "v20.11.1", "Python 3.11.2", "ruby 3.2.2 (2023-…)",
 * "go version go1.22.1 linux/amd64": the first word that begins with a digit, once a "v" or
 * "go" before it is gone. */
struct slice pin_said_version(struct slice said);

/* A line of php.ini: "memory_limit = 128M ; comment". False: a comment, a section, nothing. */
bool pin_ini(struct slice line, struct slice *name, struct slice *value);
