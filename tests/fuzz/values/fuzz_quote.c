/* Any bytes as a value: what is quoted is one word of its format and says the same bytes.
 * The readers here are the shortest that follow each format's rules; test_quote.c asks
 * real ones. */
#include "doc/json.h"
#include "values/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* POSIX shell: '…' as it is, and \' between them. */
static void read_shell(struct slice text, struct buf *out)
{
	bool inside = false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\'')
			inside = !inside;
		else if (inside)
			buf_putc(out, text.ptr[i]);
		else if (text.ptr[i] == '\\' && i + 1 < text.len)
			buf_putc(out, text.ptr[++i]);
		else
			ASSERT(!"a byte outside of quotes");
	}
	ASSERT(!inside);
}

/* One quoted text in which a backslash before any byte of `special` is dropped. */
static void read_quoted(struct slice text, const char *special, bool codes, struct buf *out)
{
	char quote = text.ptr[0];
	ASSERT(text.len >= 2 && text.ptr[text.len - 1] == quote);
	for (size_t i = 1; i + 1 < text.len; i++) {
		char c = text.ptr[i];
		ASSERT(c != quote);
		if (c == '\\' && i + 2 < text.len && text.ptr[i + 1] && strchr(special, text.ptr[i + 1]))
			c = text.ptr[++i];
		else if (codes && c == '\\' && i + 2 < text.len && text.ptr[i + 1] == 'r' && i++)
			c = '\r';
		buf_putc(out, c);
	}
}

static void read_json(struct slice text, struct buf *out)
{
	AUTO(json_free) json_t *json = NULL;
	struct err err = ERR_INIT;
	ASSERT(json_parse(text, "t", MIB(1), &json, &err) == 0 && json_is_string(json));
	buf_put(out, json_string_value(json), json_string_length(json));
}

static void read_back(const char *format, struct slice text, struct buf *out)
{
	if (strcmp(format, "shell") == 0)
		read_shell(text, out);
	else if (strcmp(format, "json") == 0 || strcmp(format, "yaml") == 0)
		read_json(text, out);
	else if (strcmp(format, "php") == 0)
		read_quoted(text, "'\\", false, out);
	else if (strcmp(format, "ini") == 0)
		read_quoted(text, text.ptr[0] == '"' ? "\"\\" : "", false, out);
	else if (text.len && text.ptr[0] == '"')
		read_quoted(text, "\"\\$`", true, out); /* dotenv */
	else if (text.len && text.ptr[0] == '\'')
		read_quoted(text, "", false, out);
	else
		buf_put_slice(out, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const formats[] = {"json", "yaml",	      "shell", "dotenv", "php",
					      "ini",  "configparser", "url",   "base64", "raw"};
	struct slice value = slice_make(data, size);
	if (size > KIB(16))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		AUTO(buf_wipe_free) struct buf out = BUF_SECRET(MIB(1)), back = BUF_SECRET(MIB(1));
		struct err err = ERR_INIT;
		if (quote_value(formats[i], value, &out, &err)) {
			ASSERT(err.code == ERR_USER && err.text[0] && out.len == 0);
			continue;
		}
		if (i < 6 && !memchr(value.ptr, 0, value.len)) {
			read_back(formats[i], buf_slice(&out), &back);
			ASSERT(slice_equal(buf_slice(&back), value));
		}
		bool one_line = strcmp(formats[i], "ini") == 0 || strcmp(formats[i], "json") == 0 ||
				strcmp(formats[i], "yaml") == 0 || strcmp(formats[i], "configparser") == 0 ||
				strcmp(formats[i], "url") == 0 || strcmp(formats[i], "base64") == 0;
		if (one_line)
			ASSERT(!out.len || !memchr(out.ptr, '\n', out.len));
	}
	return 0;
}
