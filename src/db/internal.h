/* What db.c and migrate.c share. Nobody else includes this. */
#pragma once

#include "db/engine.h"

#include <stdlib.h>

struct db {
	const struct db_engine *engine;
	struct db_connection *connection;
	char *location;
	int open_statements;
	bool in_transaction;
};
