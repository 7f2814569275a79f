/* What is missing here and new there, and alike but for its name. */
#pragma once

#include "engine/parity_matrix.h"

/* Says so in the findings' cause and advice. A guess that cannot be made is left out. */
void parity_renames(struct engine *engine, const struct matrix *matrix, struct findings *findings);
