/* The collectors there are, one file each. */
#include "collect/internal.h"

const struct collector *const collectors[] = {
	&collector_dns, &collector_endpoint, &collector_http, &collector_shape, &collector_tls, NULL,
};
