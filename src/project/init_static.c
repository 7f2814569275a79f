/* A static site: index.html at the top or in public/. */
#include "project/init.h"

static bool recognise(int dir_fd)
{
	return init_has(dir_fd, "index.html") || init_has(dir_fd, "public/index.html");
}

extern const struct init_row init_static;
const struct init_row init_static = {
	.name = "static",
	.words = "a static site",
	.recognise = recognise,
	.build = "build: {}                       # nothing to build: the tree itself is the release\n",
	.deploy = "  # generated: [cache]\n",
};
