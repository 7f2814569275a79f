/* Reads small files of a server without putting anything there: for importing what
 * stands on servers lockstep never deployed to. Over ssh a plain /bin/sh reads; on a
 * local: place we do. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "target/address.h"

enum { READ_FILE_MAX = 1 << 20 };

/* `name` is looked for below the place: in current/, in shared/, and in the folder
 * itself, in this order; absolute names are taken as they are. `out` is a BUF_SECRET.
 * *found_out: where it was ("shared/.env", in the arena), or NULL when it is nowhere. */
int target_read_file(struct arena *arena, const struct place_address *address, const char *name,
		     const char **found_out, struct buf *out, struct err *err) CHECKED;
