/* The command line into an operation and its input, by the operation's rows. */
#pragma once

#include "api/operation.h"

struct args {
	const struct operation *operation; /* NULL when help is asked for */
	json_t *input;                     /* owned; an object */
	bool help;                         /* --help, or the verb `help` */
	const char *help_topic;            /* borrowed from argv or the arena; NULL: overview */
	bool json;
	bool quiet;
	bool no_colour;
	const char *directory;             /* -C DIR; NULL */
	const char *project_file;          /* --file PATH; NULL */
};

/* Options may stand anywhere; "--" ends them; "--key=value" and "--key value"
 * mean the same. Every mistake is ERR_USER with the nearest valid word. */
int args_parse(struct arena *arena, int argc, char **argv, struct args *out, struct err *err) CHECKED;
void args_free(struct args *args); /* cleanup function */

/* The key that is read from standard input (cli/value.h); NULL: none. */
const struct operation_key *args_value_key(const struct operation *operation);

/* Options every verb has; printed by help. */
struct global_option {
	const char *flag;
	const char *value; /* NULL: takes none */
	const char *text;
};
extern const struct global_option global_options[];
extern const size_t global_option_count;
