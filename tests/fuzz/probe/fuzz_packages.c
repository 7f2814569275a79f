/* What package managers keep: whatever comes out lies in what went in, and it ends. */
#include "probe/packages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice whole;

static void check(struct slice part)
{
	ASSERT(!part.len || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parsed_package package;
	struct parsed_upgrade upgrade;
	struct slice path, md5, epoch;
	size_t calls = 0;

	whole = slice_make(data, size);
	for (struct slice rest = whole; parse_dpkg_next(&rest, &package);) {
		ASSERT(++calls <= size);
		ASSERT(package.name.len > 0);
		check(package.name);
		check(package.version);
		check(package.arch);
		check(package.state);
		check(package.conffiles);
		for (struct slice files = package.conffiles; parse_conffile(&files, &path, &md5);) {
			check(path);
			ASSERT(md5.len == 32 && path.ptr[0] == '/');
		}
	}
	calls = 0;
	for (struct slice rest = whole; parse_apk_next(&rest, &package);) {
		ASSERT(++calls <= size);
		check(package.name);
		check(package.version);
	}
	for (struct slice rest = whole; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n');
		if (parse_dpkg_log(line, &upgrade)) {
			check(upgrade.name);
			check(upgrade.to);
		}
		if (parse_md5sum(line, &md5, &path))
			check(path);
		if (parse_rpm(line, &epoch, &package))
			check(package.version);
	}
	return 0;
}
