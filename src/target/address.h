/* Where a place is: plain values given by whoever read the configuration. Reading
 * "deploy@host:/var/www" is not done here. */
#pragma once

#include "base/compiler.h"

enum place_kind { PLACE_SSH = 1, PLACE_LOCAL };

struct place_address {
	enum place_kind kind;
	const char *user; /* NULL or "": as ssh's configuration says */
	const char *host; /* NULL for PLACE_LOCAL */
	uint16_t port;	  /* 0: as ssh's configuration says */
	const char *path; /* absolute, or relative to the home folder ("~/" is understood too) */
	const char *text; /* as the user wrote it, for messages */
};
