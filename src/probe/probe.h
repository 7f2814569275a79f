/* Probes: collectors that run on a server, inside the agent, without root, changing
 * nothing. One probe is one dimension, one row in a file of its own.
 *
 * Each probe runs in a process of its own, forked from the agent: one that hangs or
 * crashes costs its dimension, which then is not_checked with the reason. Those that were quick
 * the last time the agent was asked share one; what does not come out of it is looked at again
 * as if it had never been tried. Programs are only started through probe_command. What a probe cannot read it
 * says with probe_skip, never by leaving it out. */
#pragma once

#include "fact/snapshot.h"

enum { PROBE_TIME_MS = 10000, PROBE_FACTS_BYTES_MAX = 24 << 20, PROBE_LISTED_MAX = 1000 };
/* Of a file that is longer and may hold secrets the hexadecimal SHA-256 is fingerprinted. */
enum { PROBE_SECRET_FILE_MAX = 256 << 10 };

/* What the controller asks. Texts are foreign: bounded, NUL-terminated. */
struct probe_request {
	const char *place; /* deploy.path, absolute */
	int place_fd;	   /* -1: it is not there */
	const char
		*live; /* the folder the application runs from, absolute: current's target, else the place */
	int live_fd;   /* -1: nothing is live; `live` is NULL then */
	const char *live_why; /* something should be live, and cannot be opened; NULL: not so */
	const char *user;     /* who runs the application; NULL: not said */
	const char *const
		*reloads; /* reload specs as in lockstep.yml: units and programs of the application */
	size_t reload_count;
	const char *const *paths; /* files and folders to look at beside the release */
	size_t path_count;
	const char *const *env_files; /* files of variables; relative to live */
	size_t env_file_count;
	const char *const *names; /* DNS names to resolve as this server does */
	size_t name_count;
	const char *const *generated; /* below live: written by the application, not looked at */
	size_t generated_count;
	const char *const *rendered; /* below live: their content is fingerprinted by HMAC, not by digest */
	size_t rendered_count;
	uint8_t run_key[DIGEST_LEN];  /* of this run: comparable between servers; a secret */
	uint8_t kept_key[DIGEST_LEN]; /* of this server: comparable in time; a secret */
	bool has_kept_key;
	int64_t now_ms;	    /* the controller's clock when it asked; 0: not known */
	const char *helper; /* the root-owned read-only helper; NULL: none */
};

/* Where a probe puts what it saw. */
struct probe_sink {
	const struct probe_request *request;
	struct fact_list facts;
	struct arena arena;	     /* for building keys and values; lives as long as the probe */
	struct err failure;	     /* the first; nothing is added after it */
	struct probe_memory *memory; /* answers of programs; NULL: none are kept */
	struct buf *inputs;	     /* probe/look.h; NULL: the look is not kept */
	struct probe_common *common; /* with the other probes of this process; NULL: there are none */
	size_t programs;	     /* how many were started */
};

struct probe_fact {	  /* for docs/reference/facts.md */
	const char *key;  /* "pkg/NAME/version" */
	const char *kind; /* "version" */
	const char *text;
};

struct probe {
	const char *dimension;
	const char *text;		/* one line */
	const struct probe_fact *facts; /* ends with a NULL key */
	int64_t time_ms;		/* 0: PROBE_TIME_MS */
	/* With it what programs say is remembered (probe_command_kept). */
	bool remembers;
	/* All it says comes from files it names with look_input (probe/look.h): as long as these
	 * are the same, it is told again. */
	bool keeps_look;
	/* -1 makes the whole dimension not_checked with err's text. */
	int (*run)(struct probe_sink *sink, struct err *err);
};

extern const struct probe *const probes[]; /* sorted by dimension, ends with NULL */
const struct probe *probe_find(struct slice dimension);
/* docs/reference/facts.md, for people. Not in the agent. */
void probe_print_reference(struct buf *out);

/* Runs the chosen ones (which: one bool a probe; NULL: all), side by side but for the quick ones,
 * and writes one snapshot. `breathe` is called several times a second and ends all of it when it fails. A
 * dimension not chosen is not mentioned. -1 only for `breathe` and the writer. */
int probe_all(const struct probe_request *request, const bool *which, struct fact_writer *out,
	      int (*breathe)(void *context, struct err *err), void *context, struct err *err) CHECKED;

/* --- for probes --------------------------------------------------------------------- */

/* Formats like printf; "%s" of foreign text is fine, NUL cannot come in. */
struct slice probe_key(struct probe_sink *sink, const char *format, ...) PRINTF(2, 3);
void probe_text(struct probe_sink *sink, struct slice key, struct slice value);
void probe_str(struct probe_sink *sink, struct slice key, const char *value); /* NULL: left out */
void probe_version(struct probe_sink *sink, struct slice key, struct slice value);
void probe_number(struct probe_sink *sink, struct slice key, int64_t number, const char *unit);
void probe_words(struct probe_sink *sink, struct slice key, const struct slice *words, size_t count);
void probe_digest(struct probe_sink *sink, struct slice key, const struct digest *digest);
/* A secret or what could be guessed: run-key HMAC under `key`, and, with a kept key and
 * enough entropy, the evidence `key` with its last part "kept". */
void probe_secret(struct probe_sink *sink, struct slice key, struct slice value);
void probe_evidence(struct probe_sink *sink, struct slice key, struct slice value);
/* `key` (or, ending in '/', all below it) was not looked at. */
void probe_skip(struct probe_sink *sink, struct slice key, const char *format, ...) PRINTF(3, 4);
/* All of these note the first failure (the limit); probe_all reports it. */

/* Runs a program found in a fixed PATH (/usr/local/sbin … /bin, and what `also` names),
 * with an empty environment but PATH, HOME and LC_ALL=C, no standard input, output bounded,
 * a time limit. Returns its output; ptr NULL and *why_out when it is not there, failed, or
 * took too long. Only for programs that look. */
struct slice probe_command(struct probe_sink *sink, const char *const *argv, int64_t time_ms,
			   size_t output_max, const char **why_out);
/* The same for what a program says of itself, such as its version: kept for the life of the
 * agent as long as the program's file and the folders of its libraries are the same. Not of
 * scripts, and not of what changed a moment ago. */
struct slice probe_command_kept(struct probe_sink *sink, const char *const *argv, int64_t time_ms,
				size_t output_max, const char **why_out);
/* The file a program's name stands for, in the arena; NULL when there is none. */
const char *probe_program(struct probe_sink *sink, const char *name);
/* A small file, whole; ptr NULL and *why_out ("permission denied") when it cannot be read. */
struct slice probe_file(struct probe_sink *sink, const char *path, size_t max, const char **why_out);

/* A process that belongs to the application: by user, by unit's cgroup, by its working
 * folder, root or executable below the place. */
struct probe_process {
	int pid;
	uint64_t start;	 /* clock ticks since boot, /proc/PID/stat field 22 */
	const char *exe; /* NULL: cannot be read */
	const char *user;
	const char *command; /* comm */
	const char *unit;    /* "shop.service"; NULL: none of systemd's */
	bool readable;	     /* its environment and maps may be read by us */
};
/* In the order of pids; -1 and err when /proc cannot be read. */
int probe_processes(struct probe_sink *sink, struct probe_process **out, size_t *count_out,
		    struct err *err) CHECKED;
