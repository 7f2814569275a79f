/* How a database is reached that only its server sees: the user's ssh carries one
 * connection (ssh -W), with the same options as every other ssh of ours. Nothing is put on
 * the server, and nothing listens here that anybody else could use: the near end is a socket
 * in a private folder, or, where TLS has to be spoken, a port of loopback that takes our own
 * connection only. */
#pragma once

#include "db/catalog.h"
#include "introspect/introspect.h"

struct route;

/* Makes the near end and says in `to` how to get there. */
int route_open(const struct database_spec *spec, struct route **out, struct catalog_spec *to,
	       struct err *err) CHECKED;
/* When connecting failed for want of a line: what ssh said, in place of what is in err. */
int route_explain(const struct route *route, struct err *err);
void route_close(struct route **route); /* cleanup function: ends ssh, by its id */
