/* Parity: environments held against each other, or an environment against what was last
 * deployed to it. Findings, ranked, with their history; results as --json shows them
 * (docs/parity.md). Changes nothing on any server. */
#pragma once

#include "engine/observe.h"
#include "fact/finding.h"
#include "gate/gate.h"

struct parity_request {
	const char *const *subjects; /* count 0: all environments of the project */
	size_t count;
	const char *reference; /* one of the subjects; NULL: as the project says, else the last */
	const char *const *only;
	size_t only_count;
	bool all; /* also rows that are the same */
	bool no_databases, offline;
	const char *since; /* run id, or "7d": what came and went since then; NULL */
};

/* Environments, servers, places, releases beside each other. "exit" is 9 with findings. */
int parity_diff(struct engine *engine, const struct parity_request *request, json_t **out,
		struct err *err) CHECKED;
/* All environments with rules and rank; kept in the history of this machine. */
int parity_matrix(struct engine *engine, const struct parity_request *request, json_t **out,
		  struct err *err) CHECKED;
/* One environment: declared / last applied by us / seen now. */
int parity_drift(struct engine *engine, const char *environment, const struct parity_request *request,
		 json_t **out, struct err *err) CHECKED;
/* The facts of one subject, in key order. */
int parity_facts(struct engine *engine, const struct parity_request *request, json_t **out,
		 struct err *err) CHECKED;

/* For the gate: what stands between two environments now that the next deployment would not
 * bring itself. Files of the release, variables lockstep renders, and what migrations add to
 * `environment` are left out. Texts live in the engine's arena. */
struct parity_evidence {
	struct gate_finding *findings;
	size_t finding_count;
	struct gate_gap *gaps;
	size_t gap_count;
	int coverage;
	int64_t checked_ms;
};
int parity_between(struct engine *engine, const struct environment *environment, const char *with,
		   struct parity_evidence *out, struct err *err) CHECKED;
