/* What this machine remembers of looks at environments: runs, what each server showed, how
 * long a difference has been there. A cache: nothing here decides anything. */
#pragma once

#include "engine/parity.h"
#include "model/parity_run.h"

/* Servers that could not be reached are shown as they were last seen, marked stale. */
void parity_history_stale(struct engine *engine, struct observation *seen);

/* Keeps the run, and writes since when into each finding. `scope`: "staging production",
 * "drift staging". *run_out: its id, in the engine's arena. Without fingerprints: those of
 * this run's key mean nothing later, and those of servers' own keys stand beside them. */
int parity_history_keep(struct engine *engine, enum parity_run_kind kind, const char *scope,
			const struct parity_request *request, const struct observation *seen,
			struct findings *findings, const char **run_out, struct err *err) CHECKED;

/* What came and what went since a run or that long ago ("7d"), into "appeared" and "gone". */
int parity_history_since(struct engine *engine, const char *since, json_t *out, struct err *err) CHECKED;

/* What a server showed when it was last looked at; -1 in *fd_out: never. */
int parity_history_last(struct engine *engine, const char *environment, const char *server, int *fd_out,
			int64_t *taken_out, struct err *err) CHECKED;

/* What it showed of a dimension when that was first looked at after a time: what a deployment
 * left behind. */
int parity_history_first(struct engine *engine, const char *environment, const char *server,
			 const char *dimension, int64_t since_ms, int *fd_out, int64_t *taken_out,
			 struct err *err) CHECKED;
/* Whether a snapshot has a fact of that dimension, not only that it was not checked. */
int snapshot_has(int fd, const char *dimension, bool *out, struct err *err) CHECKED;

/* One fact of every server of an environment over the runs that are kept: "servers", each
 * with its "points", changes only. ERR_NOT_FOUND when no run that is kept knows it. */
int parity_history_timeline(struct engine *engine, const char *environment, const char *key, json_t **out,
			    struct err *err) CHECKED;
