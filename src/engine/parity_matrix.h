/* An observation set up for comparing: what parity commands begin with. */
#pragma once

#include "base/map.h"
#include "engine/parity.h"
#include "engine/parity_rules.h"

struct matrix {
	struct observation seen;
	struct compare_column *columns;
	struct parity_rules rules;
	struct compare_input input; /* its filter points to the matrix, which must not move */
	bool with_release;	    /* a release is one of the columns */
	bool releases_differ;	    /* between servers; or nothing is live but on one */
	const char **not_live;	    /* one a column: why nothing is live there; NULL: something is */
	bool writes_config;	    /* a deployment to one of them writes config files */
	bool commits_known;	    /* of all of them, by git or Capistrano */
	struct map edited;	    /* paths of the release that somebody edited on some server */
};

/* Of the release itself, not beside it. */
bool matrix_is_released_file(struct slice key);
/* Its files, and what they say: the next deployment brings another. */
bool matrix_comes_with_release(struct slice key);

/* Looks at everything, opens the rules, chooses the reference. */
int matrix_open(struct engine *engine, const struct parity_request *request, struct matrix *matrix,
		struct err *err) CHECKED;
/* A comparison reads each snapshot once: before another. */
void matrix_rewind(struct matrix *matrix);
void matrix_close(struct matrix *matrix); /* cleanup function */
/* The same with all environments of the project when none is named; ERR_USER when there
 * are not two. */
int matrix_all(struct engine *engine, const struct parity_request *request, struct parity_request *out,
	       struct err *err) CHECKED;
