/* The rows of database_kinds. */
#pragma once

#include "introspect/introspect.h"

extern const struct database_kind database_postgresql, database_mysql, database_sqlite;
