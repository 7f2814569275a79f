/* A file of this machine without a name: gone with its descriptor. */
#pragma once

#include "base/err.h"

/* In $TMPDIR, else /var/tmp. */
int temp_file(int *fd_out, struct err *err) CHECKED;
