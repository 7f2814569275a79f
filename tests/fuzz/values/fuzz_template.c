/* Any bytes as a template: the first byte chooses the syntax, the rest is the text. Names
 * are listed as often as they are filled in, what was put in is not looked at again, and
 * what has no sign in it stays as it is. */
#include "values/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_name(void *context, struct slice name, struct err *err)
{
	(void)err;
	ASSERT(value_name_valid(name));
	(*(size_t *)context)++;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(buf_wipe_free) struct buf out = BUF_SECRET(MIB(1)), marks = BUF_SECRET(MIB(1));
	struct config_value values[] = {
		{.name = "A", .level = LEVEL_ENVIRONMENT, .place = "x"},
		{.name = "B", .level = LEVEL_ENVIRONMENT, .place = "x"},
		{.name = "VITE_A", .level = LEVEL_ENVIRONMENT, .place = "x"},
	};
	struct config_set set = {values, ARRAY_LEN(values)}, none = {0};
	struct err err = ERR_INIT;
	size_t names = 0, replaced = 0;

	if (!size || size > KIB(64))
		return 0;
	/* Values that would be found if the result were looked at again. */
	if (safe_put(safe, SLICE("${B}%B%{{B}}"), &values[0].value, &err) ||
	    safe_put(safe, SLICE("__VITE_A__"), &values[1].value, &err) ||
	    safe_put(safe, SLICE("__VITE_B__"), &values[2].value, &err))
		return 0;
	struct template_spec spec = {"t", slice_make(data + 1, size - 1), data[0] & 7,
				     data[0] & 8 ? "json" : NULL};
	ASSERT(template_names(&spec, count_name, &names, &err) == 0);
	if (template_render(&spec, &set, &out, &err))
		ASSERT(err.code == ERR_USER && err.text[0]);
	buf_clear(&out);
	struct err nothing = ERR_INIT;
	ASSERT((template_render(&spec, &none, &out, &nothing) != 0) == (names > 0));
	bool signs = memchr(spec.text.ptr, '$', spec.text.len) || memchr(spec.text.ptr, '%', spec.text.len) ||
		     memchr(spec.text.ptr, '{', spec.text.len);
	if (!signs)
		ASSERT(slice_equal(buf_slice(&out), spec.text));
	if (template_substitute("t", spec.text, &set, &marks, &replaced, &err))
		ASSERT(err.code == ERR_USER && err.text[0]);
	else if (!replaced)
		ASSERT(slice_equal(buf_slice(&marks), spec.text));
	return 0;
}
