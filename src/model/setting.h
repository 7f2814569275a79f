/* Small values this machine keeps by name. No secrets. */
#pragma once

#include "model/model.h"

/* *value_out NULL when it was never set. */
int setting_find(struct db *db, struct arena *arena, const char *key, const char **value_out,
		 struct err *err) CHECKED;
int setting_set(struct db *db, const char *key, const char *value, struct err *err) CHECKED;
/* Sets it unless it is set already; in *value_out what holds now. Of several
 * processes that do this at once all get the same. */
int setting_keep(struct db *db, struct arena *arena, const char *key, const char *value,
		 const char **value_out, struct err *err) CHECKED;
/* A random name for this home folder, 16 hex digits, made on first use. */
int setting_controller_id(struct db *db, struct arena *arena, const char **id_out, struct err *err) CHECKED;
