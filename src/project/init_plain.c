/* Everything else. */
#include "project/init.h"

static bool recognise(int dir_fd)
{
	(void)dir_fd;
	return true;
}

extern const struct init_row init_plain;
const struct init_row init_plain = {
	.name = "plain",
	.words = "this project",
	.recognise = recognise,
	.build = "build:\n"
		 "  run: []                       # shell commands, such as: [make]\n"
		 "  # output: dist                # the folder that becomes the release\n"
		 "  # exclude: [tests/]           # what stays out, as in .gitignore\n",
	.deploy = "  # shared_dirs: [uploads]      # outlive releases\n"
		  "  # shared_files: [.env]\n"
		  "  # generated: [cache]          # written by the application: never an edit\n"
		  "  # reload: \"systemd:my-app\"    # or supervisor:, pidfile:, command:, none\n",
};
