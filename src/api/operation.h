/* Operations: everything lockstep can be asked to do, one row a verb. The command
 * line renders them, a server will offer them over HTTP; help, completion and the
 * reference pages are printed from the rows. A row is const and stateless. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "doc/json.h"
#include "engine/engine.h"

enum operation_key_kind {
	OPERATION_STRING = 1,
	OPERATION_FLAG,
	OPERATION_INT,
	OPERATION_DURATION, /* handed on in milliseconds */
	OPERATION_LIST,     /* of strings; as a positional it takes all that remain */
	OPERATION_VALUE,    /* a secret text: on the command line never a word, but standard input */
};

/* One input of an operation. A positional is required unless `optional`. */
struct operation_key {
	const char *name;     /* in JSON with '_', on the command line with '-' */
	enum operation_key_kind kind;
	bool positional;
	bool optional;
	const char *only_with; /* OPERATION_VALUE: asked for only with this flag; NULL: always */
	const char *value;    /* how its value is called in help: "ENV", "N" */
	const char *text;     /* one line for help */
};

enum permission {
	PERMISSION_NONE = 1, /* about the program itself */
	PERMISSION_READ,     /* looks, changes nothing anywhere */
	PERMISSION_BUILD,    /* runs the project's build commands here */
	PERMISSION_DEPLOY,   /* changes servers */
	PERMISSION_ROLLBACK, /* puts earlier activations back */
	PERMISSION_SECRET,   /* sees or changes secret values */
	PERMISSION_ADMIN,    /* this machine's state and store */
};

enum operation_need {
	NEED_NOTHING = 1, /* neither project nor home */
	NEED_HOME,        /* $LOCKSTEP_HOME: state and store */
	NEED_PROJECT,     /* a valid lockstep.yml, and the home */
	NEED_PROJECT_IF_THERE, /* the home, and lockstep.yml where there is one (which then is valid) */
};

struct operation {
	const char *name;    /* "deploy", "store gc": as typed */
	const char *summary; /* one line */
	const char *details; /* paragraphs for `help NAME`; may be empty */
	const struct operation_key *keys;
	size_t key_count;
	enum permission permission;
	enum operation_need need;
	bool shows_secret; /* the result may hold one */
	/* `in` is an object that holds only declared keys of the right kinds. Sets
	 * *out to a new object (also on failure when there is something to show).
	 * The result may carry "exit": the code to end with although it succeeded. */
	int (*run)(struct engine *engine, const json_t *in, json_t **out, struct err *err);
};

extern const struct operation *const operations[];
extern const size_t operation_count;

const struct operation *operation_find(struct slice name); /* NULL when unknown */
/* The operation with the most similar name, for "did you mean"; NULL when nothing is near. */
const struct operation *operation_nearest(struct slice name);
/* Checks the input against the rows; every mistake in one error. */
int operation_check_input(const struct operation *operation, const json_t *in, struct err *err) CHECKED;

/* Reading inputs inside an operation. */
const char *input_str(const json_t *in, const char *name); /* NULL when absent */
bool input_flag(const json_t *in, const char *name);
int64_t input_int(const json_t *in, const char *name, int64_t fallback);
