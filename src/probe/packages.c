#include "probe/packages.h"

/* What stands behind "Name:"; ptr NULL when the line is another field's. */
static struct slice value_of(struct slice line, const char *name)
{
	size_t len = strlen(name);

	if (!slice_starts_with(line, name) || line.len == len || line.ptr[len] != ':')
		return (struct slice){0};
	struct slice value = slice_trim(slice_skip(line, len + 1));
	return value.ptr ? value : slice_make(line.ptr + line.len, 0);
}

static void take_field(struct parsed_package *out, struct slice line)
{
	static const struct {
		const char *name;
		size_t at;
	} rows[] = {{"Package", offsetof(struct parsed_package, name)},
		    {"Version", offsetof(struct parsed_package, version)},
		    {"Architecture", offsetof(struct parsed_package, arch)}};
	struct slice value;

	/* Most lines are of other fields. */
	if (!memchr("PVAMS", line.ptr[0], 5))
		return;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if ((value = value_of(line, rows[i].name)).ptr)
			*(struct slice *)((char *)out + rows[i].at) = value;
	if ((value = value_of(line, "Multi-Arch")).ptr)
		out->multi_arch = slice_is(value, "same");
	if ((value = value_of(line, "Status")).ptr) {
		/* "install ok installed": what is wanted, whether all is well, what is. */
		out->hold = slice_is(slice_cut(&value, ' '), "hold");
		slice_cut(&value, ' ');
		out->state = value.ptr ? slice_trim(value) : (struct slice){0};
	}
}

bool parse_dpkg_next(struct slice *rest, struct parsed_package *out)
{
	while (rest->ptr && rest->len) {
		bool in_conffiles = false, any = false;
		*out = (struct parsed_package){0};
		while (rest->ptr) {
			struct slice line = slice_cut(rest, '\n');
			if (slice_trim(line).len == 0)
				break;
			any = true;
			bool goes_on = line.ptr[0] == ' ' || line.ptr[0] == '\t';
			if (goes_on && in_conffiles)
				out->conffiles.len = (size_t)(line.ptr + line.len - out->conffiles.ptr);
			if (goes_on)
				continue;
			in_conffiles = slice_starts_with(line, "Conffiles:");
			if (in_conffiles)
				out->conffiles = slice_make(line.ptr + line.len, 0);
			else
				take_field(out, line);
		}
		if (any && out->name.len)
			return true;
	}
	return false;
}

static bool is_md5(struct slice text)
{
	if (text.len != 32)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!((text.ptr[i] >= '0' && text.ptr[i] <= '9') ||
		      (text.ptr[i] >= 'a' && text.ptr[i] <= 'f')))
			return false;
	return true;
}

bool parse_conffile(struct slice *rest, struct slice *path, struct slice *md5)
{
	while (rest->ptr) {
		struct slice line = slice_trim(slice_cut(rest, '\n'));
		*path = slice_cut(&line, ' ');
		*md5 = slice_cut(&line, ' ');
		/* "newconffile" for a sum, "obsolete" or "remove-on-upgrade" behind it. */
		if (path->len > 1 && path->ptr[0] == '/' && is_md5(*md5) && !line.len)
			return true;
	}
	return false;
}

bool parse_md5sum(struct slice line, struct slice *md5, struct slice *path)
{
	*md5 = slice_cut(&line, ' ');
	if (!is_md5(*md5) || line.len < 2 || line.ptr[0] != ' ')
		return false;
	*path = slice_skip(line, 1);
	return path->ptr[0] != '/';
}

bool parse_dpkg_log(struct slice line, struct parsed_upgrade *out)
{
	enum { WHEN_LEN = 19 }; /* "2026-11-20 06:12:01" */

	if (line.len <= WHEN_LEN || line.ptr[4] != '-' || line.ptr[10] != ' ' || line.ptr[WHEN_LEN] != ' ')
		return false;
	out->when = slice_make(line.ptr, WHEN_LEN);
	line = slice_skip(line, WHEN_LEN + 1);
	struct slice what = slice_cut(&line, ' ');
	if (!slice_is(what, "install") && !slice_is(what, "upgrade"))
		return false;
	out->arch = slice_cut(&line, ' ');
	out->name = slice_cut(&out->arch, ':');
	out->from = slice_cut(&line, ' ');
	out->to = slice_trim(line);
	if (slice_is(out->from, "<none>"))
		out->from.len = 0;
	return out->name.len && out->to.len;
}

bool parse_apk_next(struct slice *rest, struct parsed_package *out)
{
	while (rest->ptr && rest->len) {
		*out = (struct parsed_package){.state = SLICE("installed")};
		while (rest->ptr) {
			struct slice line = slice_cut(rest, '\n');
			if (line.len == 0)
				break;
			if (line.len < 2 || line.ptr[1] != ':')
				continue;
			struct slice value = slice_skip(line, 2);
			if (line.ptr[0] == 'P')
				out->name = value;
			else if (line.ptr[0] == 'V')
				out->version = value;
			else if (line.ptr[0] == 'A')
				out->arch = value;
		}
		if (out->name.len)
			return true;
	}
	return false;
}

bool parse_rpm(struct slice line, struct slice *epoch, struct parsed_package *out)
{
	*out = (struct parsed_package){.state = SLICE("installed")};
	out->name = slice_cut(&line, '\t');
	out->arch = slice_cut(&line, '\t');
	*epoch = slice_cut(&line, '\t');
	out->version = slice_trim(line);
	if (slice_is(*epoch, "(none)") || slice_is(*epoch, "0"))
		epoch->len = 0;
	return out->name.len && out->version.len;
}
