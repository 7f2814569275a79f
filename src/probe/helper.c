#include "probe/helper.h"

#include <unistd.h>

enum { HELPER_OUTPUT_MAX = 4 << 20, HELPER_TIME_MS = 8000 };

static const char *helper_path(const struct probe_sink *sink)
{
	return sink->request->helper ? sink->request->helper : "/usr/local/lib/lockstep/lockstep-facts";
}

bool helper_is_there(const struct probe_sink *sink)
{
	return access(helper_path(sink), F_OK) == 0;
}

struct slice helper_run(struct probe_sink *sink, struct names *names, const char **why_out)
{
	const char *path = helper_path(sink), *why;
	const char *argv[] = {"sudo", "-n", path, NULL};

	if (!helper_is_there(sink)) {
		*why_out = arena_printf(
			&sink->arena,
			"needs root: install the read-only helper %s, with this line in sudoers: "
			"%s ALL=(root) NOPASSWD: %s \"\"",
			path, names_us(names), path);
		return slice_make(NULL, 0);
	}
	struct slice out = probe_command(sink, geteuid() == 0 ? argv + 2 : argv, HELPER_TIME_MS,
					 HELPER_OUTPUT_MAX, &why);
	if (!out.ptr)
		*why_out = arena_printf(&sink->arena,
					"the helper %s does not run (%s); the line in sudoers is: "
					"%s ALL=(root) NOPASSWD: %s \"\"",
					path, why, names_us(names), path);
	return out;
}

bool helper_next(struct slice *output, struct slice *name, struct slice *body)
{
	*name = slice_make(NULL, 0);
	while (output->ptr) {
		struct slice before = *output, line = slice_cut(output, '\n');
		if (!slice_starts_with(line, "== ")) {
			if (name->ptr)
				body->len = (size_t)(line.ptr + line.len - body->ptr);
			continue;
		}
		if (name->ptr) {
			*output = before;
			return true;
		}
		*name = slice_trim(slice_skip(line, 3));
		*body = output->ptr ? slice_make(output->ptr, 0) : SLICE("");
	}
	return name->ptr != NULL;
}
