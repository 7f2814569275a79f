/* Any text as a .env file, with and without interpolation. What is read has valid names,
 * none twice, in places that exist; and put into double quotes it is read as the same. */
#include "base/map.h"
#include "secret/dotenv_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_quoted(struct buf *out, struct slice value)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < value.len; i++) {
		if (strchr("\\\"$`", value.ptr[i]))
			buf_putc(out, '\\');
		if (value.ptr[i] == '\r')
			buf_puts(out, "\\r");
		else
			buf_putc(out, value.ptr[i]);
	}
	buf_puts(out, "\"\n");
}

static void check(struct slice text, bool interpolate)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	AUTO(buf_free) struct buf again = BUF_INIT(1 << 20);
	struct dotenv_options options = {.interpolate = interpolate};
	struct diags diags = DIAGS_INIT(&arena);
	struct dotenv_file file, second;

	int failed = dotenv_parse(&arena, safe, "f", text, &options, &file, &diags);
	ASSERT(failed == (diags.errors ? -1 : 0));
	for (size_t i = 0; i < file.count; i++) {
		const struct dotenv_entry *entry = &file.items[i];
		ASSERT(entry->name[0] && entry->line >= 1 && entry->column >= 1 && secret_present(entry->value));
		buf_printf(&again, "%s=", entry->name);
		put_quoted(&again, secret_reveal(entry->value));
	}
	if (again.overflow)
		return;
	diags = DIAGS_INIT(&arena);
	ASSERT(dotenv_parse(&arena, safe, "f", buf_slice(&again), &options, &second, &diags) == 0);
	ASSERT(second.count == file.count);
	for (size_t i = 0; i < file.count; i++)
		ASSERT(strcmp(file.items[i].name, second.items[i].name) == 0 &&
		       secret_equal(file.items[i].value, second.items[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 64 << 10)
		return 0;
	check(slice_make(data, size), false);
	check(slice_make(data, size), true);
	return 0;
}
