/* Snapshots on their way: files of this machine without a name, gone with their descriptor. */
#pragma once

#include "fact/snapshot.h"

/* A sink for fact_writer_init; `context` is an int, the descriptor. */
int snapshot_file_put(void *context, struct slice bytes, struct err *err) CHECKED;
/* The list as such a file. */
int snapshot_file_of_list(struct fact_list *list, int *fd_out, struct err *err) CHECKED;
