/* A secret value from whoever sits before the terminal, or from standard input; never
 * from a word of the command line. */
#pragma once

#include "api/operation.h"

/* Reads the operation's OPERATION_VALUE, when it has one and wants it now, into `input`.
 * From a terminal it is asked for twice without showing it; else standard input is read
 * to its end, and one newline behind a single line is not part of it. */
int value_read_input(const struct operation *operation, json_t *input, struct err *err) CHECKED;
/* A result with a secret went to a terminal: says so. */
void value_shown(const struct operation *operation, const json_t *result);
