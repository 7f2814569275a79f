/* What a changed template alters: the project as it would be delivered now beside what
 * this machine delivered last. A cache answers, so it says what it did not see. */
#pragma once

#include "engine/engine.h"
#include "project/resolved.h"

/* Remembers what an environment was delivered with. Failing costs a note, nothing else. */
void impact_record(struct engine *engine, const struct environment *environment, const char *deployment);

/* The templates of the project that differ from those of the last deployments, each with
 * the environments and keys it alters: [{template, change, alters: [{environment, keys:
 * [{key, from, to}]}], text}]. Empty when nothing differs or nothing is known. */
json_t *impact_of_project(struct engine *engine);

/* What says how an environment is delivered (hooks, reload, health, keep) and is another than
 * at the last deployment from this machine: {keys: as above, text}, which the next one goes
 * by. Null when nothing is, or nothing is known. */
json_t *impact_of_delivery(struct engine *engine, const struct environment *environment);

/* Every use of a template that this machine knows of, whichever project: `template` as
 * `extends` would name it; a path is relative to the current folder; git+URL//PATH@COMMIT
 * asks for another commit than is written. */
int impact_of_template(struct engine *engine, const char *template, json_t **out, struct err *err) CHECKED;
