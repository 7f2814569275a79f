/* Writing a value so that the reader of a format gets the same bytes back: see
 * template.h. Where no way of writing it is read the same by that format's readers,
 * the value is refused rather than changed. */
#include "values/template.h"

struct format {
	const char *name;
	int (*quote)(struct slice value, struct buf *out, struct err *err);
};

static int refuse(struct err *err, const char *what, const char *format)
{
	return err_set(err, ERR_USER, "holds %s, which %s cannot say", what, format);
}

static bool holds(struct slice value, const char *any)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] && strchr(any, value.ptr[i]))
			return true;
	return false;
}

static bool has_nul(struct slice value)
{
	return value.len && memchr(value.ptr, 0, value.len);
}

/* Letters, digits and `extra` alone. */
static bool is_plain(struct slice value, const char *extra)
{
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!letter && (!c || !strchr(extra, c)))
			return false;
	}
	return value.len > 0;
}

/* Each byte of `special` gets a backslash. */
static void put_escaped(struct buf *out, struct slice value, const char *special)
{
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] && strchr(special, value.ptr[i]))
			buf_putc(out, '\\');
		buf_putc(out, value.ptr[i]);
	}
}

/* ---- json, yaml ---- */

static uint32_t code_point(struct slice character)
{
	const unsigned char *bytes = (const unsigned char *)character.ptr;

	if (character.len == 1)
		return bytes[0];
	if (character.len == 2)
		return (bytes[0] & 0x1fu) << 6 | (bytes[1] & 0x3fu);
	if (character.len == 3)
		return (bytes[0] & 0x0fu) << 12 | (bytes[1] & 0x3fu) << 6 | (bytes[2] & 0x3fu);
	return (bytes[0] & 0x07u) << 18 | (bytes[1] & 0x3fu) << 12 | (bytes[2] & 0x3fu) << 6 |
	       (bytes[3] & 0x3fu);
}

/* What YAML does not count as printable, and line ends of JavaScript. */
static bool needs_code(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
	       c == 0xfffe || c == 0xffff;
}

static int quote_json_as(struct slice value, struct buf *out, const char *format, struct err *err)
{
	buf_putc(out, '"');
	while (value.len) {
		size_t len = slice_utf8_len(value);
		if (!len)
			return err_set(err, ERR_USER,
				       "is not UTF-8, which %s must be; `base64` can say any bytes", format);
		struct slice character = slice_make(value.ptr, len);
		uint32_t code = code_point(character);
		if (code == '"' || code == '\\')
			buf_printf(out, "\\%c", (char)code);
		else if (code == '\n')
			buf_puts(out, "\\n");
		else if (needs_code(code))
			buf_printf(out, "\\u%04x", (unsigned)code);
		else
			buf_put_slice(out, character);
		value = slice_skip(value, len);
	}
	buf_putc(out, '"');
	return 0;
}

static int quote_json(struct slice value, struct buf *out, struct err *err)
{
	return quote_json_as(value, out, "JSON", err);
}

/* A double-quoted scalar of YAML 1.1 and 1.2: what JSON writes is one. */
static int quote_yaml(struct slice value, struct buf *out, struct err *err)
{
	return quote_json_as(value, out, "YAML", err);
}

/* ---- shell, dotenv ---- */

static int quote_shell(struct slice value, struct buf *out, struct err *err)
{
	if (has_nul(value))
		return refuse(err, "a NUL byte", "a shell");
	buf_putc(out, '\'');
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] == '\'')
			buf_puts(out, "'\\''");
		else
			buf_putc(out, value.ptr[i]);
	buf_putc(out, '\'');
	return 0;
}

/* Readers of .env files agree on little: plain words, single quotes around what has
 * none inside, double quotes around what needs no backslash. What is left gets double
 * quotes with backslashes, as phpdotenv, Ruby's and Python's dotenv, docker compose and
 * our own reader have it (Node's dotenv keeps the backslashes). */
static int quote_dotenv(struct slice value, struct buf *out, struct err *err)
{
	if (has_nul(value))
		return refuse(err, "a NUL byte", "a .env file");
	if (!slice_is_utf8(value))
		return err_set(err, ERR_USER, "is not UTF-8, which readers of .env files expect");
	if (is_plain(value, "_-./:@%+,=")) {
		buf_put_slice(out, value);
		return 0;
	}
	/* Some readers turn CR into LF wherever it stands. */
	bool cr = holds(value, "\r");
	if (!cr && !holds(value, "'")) {
		buf_printf(out, "'");
		buf_put_slice(out, value);
		buf_putc(out, '\'');
		return 0;
	}
	buf_putc(out, '"');
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		if (c == '\r') {
			buf_puts(out, "\\r");
			continue;
		}
		if (strchr("\"\\$`", c))
			buf_putc(out, '\\');
		buf_putc(out, c);
	}
	buf_putc(out, '"');
	return 0;
}

/* ---- php, ini, configparser ---- */

static int quote_php(struct slice value, struct buf *out, struct err *err)
{
	(void)err;
	buf_putc(out, '\'');
	put_escaped(out, value, "'\\");
	buf_putc(out, '\'');
	return 0;
}

/* As php.ini is read, and most readers that know quotes. `${` would be looked up there
 * inside of double quotes, and no backslash prevents it, but single quotes do. */
static int quote_ini(struct slice value, struct buf *out, struct err *err)
{
	if (has_nul(value) || holds(value, "\r\n"))
		return refuse(err, has_nul(value) ? "a NUL byte" : "a line break", "an ini file");
	if (memmem(value.ptr, value.len, "${", 2)) {
		if (holds(value, "'"))
			return refuse(err, "both `${` and a single quote", "an ini file");
		buf_putc(out, '\'');
		buf_put_slice(out, value);
		buf_putc(out, '\'');
		return 0;
	}
	buf_putc(out, '"');
	/* \' is read as ' by PHP: a backslash before it has to be doubled, which
	 * doubling all of them does. */
	put_escaped(out, value, "\"\\");
	buf_putc(out, '"');
	return 0;
}

/* Python's configparser knows no quotes: the rest of the line is the value. */
static int quote_configparser(struct slice value, struct buf *out, struct err *err)
{
	if (has_nul(value) || holds(value, "\r\n\v\f\x1c\x1d\x1e"))
		return refuse(err, has_nul(value) ? "a NUL byte" : "a line break", "configparser");
	if (!slice_is_utf8(value))
		return err_set(err, ERR_USER, "is not UTF-8, which configparser needs");
	for (size_t i = 0; i < value.len; i++) { /* U+0085, U+2028 and U+2029 end lines too */
		struct slice rest = slice_skip(value, i);
		if (slice_starts_with(rest, "\xc2\x85") || slice_starts_with(rest, "\xe2\x80\xa8") ||
		    slice_starts_with(rest, "\xe2\x80\xa9"))
			return refuse(err, "a line break", "configparser");
	}
	if (slice_trim(value).len != value.len)
		return refuse(err, "blanks at an end", "configparser");
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '%')
			buf_putc(out, '%');
		buf_putc(out, value.ptr[i]);
	}
	return 0;
}

/* ---- url, base64, raw ---- */

static int quote_url(struct slice value, struct buf *out, struct err *err)
{
	(void)err;
	for (size_t i = 0; i < value.len; i++)
		if (is_plain(slice_make(value.ptr + i, 1), "-._~"))
			buf_putc(out, value.ptr[i]);
		else
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)value.ptr[i]);
	return 0;
}

static int quote_base64(struct slice value, struct buf *out, struct err *err)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	(void)err;

	for (size_t i = 0; i < value.len; i += 3) {
		size_t left = MIN(value.len - i, (size_t)3);
		uint32_t bits = 0;
		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (j < left ? (unsigned char)value.ptr[i + j] : 0u);
		for (size_t j = 0; j < 4; j++)
			buf_putc(out, j <= left ? digits[bits >> (18 - 6 * j) & 63] : '=');
	}
	return 0;
}

static int quote_raw(struct slice value, struct buf *out, struct err *err)
{
	(void)err;
	buf_put_slice(out, value);
	return 0;
}

/* ---- the table ---- */

static const struct format formats[] = {
	{"raw", quote_raw},	  {"json", quote_json},
	{"yaml", quote_yaml},	  {"shell", quote_shell},
	{"dotenv", quote_dotenv}, {"php", quote_php},
	{"ini", quote_ini},	  {"configparser", quote_configparser},
	{"url", quote_url},	  {"base64", quote_base64},
};

static const struct format *find(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (slice_is(name, formats[i].name))
			return &formats[i];
	return NULL;
}

bool quote_format_known(struct slice format)
{
	return find(format) != NULL;
}

int quote_value(const char *format, struct slice value, struct buf *out, struct err *err)
{
	const struct format *known = find(slice_of(format));
	size_t before = out->len;

	ASSERT(known);
	if (!known->quote(value, out, err))
		return 0;
	/* Nothing half-written stays. */
	if (out->ptr) {
		explicit_bzero(out->ptr + before, out->len - before);
		out->len = before;
	}
	return -1;
}
