#include "collect/kinds.h"

const struct collector *const collectors[] = {
	&collector_shape,
	NULL,
};
