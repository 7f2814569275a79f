/* Lexical rules for paths inside a release. Opens nothing. */
#include "project/path.h"

bool has_control(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
			return true;
	return false;
}

const char *path_fault(struct slice path)
{
	if (!path.len)
		return "must not be empty";
	if (path.len > PROJECT_PATH_MAX)
		return "is too long";
	if (has_control(path))
		return "must not hold control characters";
	if (path.ptr[0] == '/')
		return "must be relative to the release";
	struct slice rest = path;
	bool first = true;
	while (rest.ptr) {
		struct slice part = slice_cut(&rest, '/');
		if (slice_is(part, ".."))
			return "must stay inside the release, without `..`";
		if (!part.len || slice_is(part, "."))
			return "must be clean, without empty or `.` parts";
		if (first && slice_is(part, ".lockstep"))
			return "must not be in .lockstep, which is the program's own";
		first = false;
	}
	return NULL;
}

bool path_within(struct slice path, struct slice folder)
{
	if (path.len < folder.len || memcmp(path.ptr, folder.ptr, folder.len) != 0)
		return false;
	return path.len == folder.len || path.ptr[folder.len] == '/';
}
