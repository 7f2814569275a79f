/* A Node application: package.json. */
#include "project/init.h"

static bool recognise(int dir_fd)
{
	return init_has(dir_fd, "package.json");
}

extern const struct init_row init_node;
const struct init_row init_node = {
	.name = "node",
	.words = "a Node application",
	.recognise = recognise,
	.build = "build:\n"
		 "  run:\n"
		 "    - npm ci\n"
		 "    - npm run build --if-present\n"
		 "    - npm prune --omit=dev\n"
		 "  cache: [~/.npm]\n",
	.deploy = "  shared_files: [.env]          # outlive releases\n"
		  "  # reload: \"systemd:my-app\"\n",
};
