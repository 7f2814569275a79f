/* The probes there are, one file each (docs/adding-a-probe.md). */
#include "probe/kinds.h"

const struct probe *const probes[] = {
	&probe_container,
	&probe_env,
	&probe_files,
	&probe_hw,
	&probe_net,
	&probe_os,
	&probe_pkg,
	&probe_runtime,
	&probe_unit,
	NULL,
};

const struct probe *probe_find(struct slice dimension)
{
	for (size_t i = 0; probes[i]; i++)
		if (slice_is(dimension, probes[i]->dimension))
			return probes[i];
	return NULL;
}
