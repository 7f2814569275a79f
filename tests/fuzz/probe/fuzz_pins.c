/* What a release and programs say of versions: whatever comes out lies in what went in. */
#include "probe/pins.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice whole;

static void check(struct slice part)
{
	ASSERT(!part.len || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const path[] = {"engines", "node"};
	struct slice name, value;
	size_t calls = 0;
	bool known;

	whole = slice_make(data, size);
	check(pin_json(whole, path, 2));
	check(pin_json(whole, path, 1));
	check(pin_toml(whole, "metadata", "python-versions"));
	check(pin_toml(whole, "", "requires-python"));
	check(pin_assignment(whole, "ID"));
	check(pin_plain(whole));
	check(pin_gemfile(whole));
	check(pin_go(whole));
	check(pin_said_version(whole));
	for (struct slice rest = whole; pin_tool_next(&rest, &name, &value);) {
		ASSERT(++calls <= size);
		ASSERT(name.len && value.len);
	}
	for (struct slice rest = whole; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n'), pin = line;
		if (pin_ini(line, &name, &value)) {
			check(name);
			check(value);
		}
		struct slice version = pin;
		pin = slice_cut(&version, ' ');
		pin_is_met(pin, version, &known);
	}
	return 0;
}
