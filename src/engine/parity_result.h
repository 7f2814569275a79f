/* What parity commands answer, as JSON (docs/parity.md). */
#pragma once

#include "engine/observe.h"
#include "fact/finding.h"

/* A new reference. "exit" is 9 with findings. */
json_t *parity_result(struct engine *engine, const char *kind, const char *reference, int64_t now_ms,
		      const struct observation *seen, const struct findings *findings);
json_t *finding_json(const struct finding *finding);
/* null for NULL. */
json_t *text_or_null(const char *text);
/* Gives it an id of its kind, key and server: for findings about one server. */
void finding_name(struct finding *finding, const char *server);
