/* "Works on staging, breaks in production": seven questions, each answered from facts. */
#pragma once

#include "engine/parity.h"

/* For each question: same, differs or not checked, with what was looked at, what stands
 * against it and what could not be seen. "exit" 9 when one differs. */
int checklist_answer(struct engine *engine, const struct parity_request *request, json_t **out,
		     struct err *err) CHECKED;
