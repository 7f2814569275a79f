/* Filling, wrapping and naming of errors. Printing them is the command line's. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void assert_failed(const char *condition, const char *file, int line, const char *function)
{
	fprintf(stderr, "lockstep: bug: %s:%d: %s: %s does not hold\n", file, line, function, condition);
	abort();
}

/* vsnprintf into a field, cut at a character boundary. */
__attribute__((format(printf, 3, 0))) static void fill(char *field, size_t size, const char *format,
						       va_list args)
{
	int len = vsnprintf(field, size, format, args);

	if (len < 0) {
		field[0] = '\0';
		return;
	}
	if ((size_t)len < size)
		return;
	size_t end = size - 4;
	while (end > 0 && ((unsigned char)field[end] & 0xC0) == 0x80)
		end--;
	memcpy(field + end, "...", 4);
}

int err_vset(struct err *err, enum err_code code, const char *format, va_list args)
{
	char text[ERR_TEXT_MAX];

	/* Not straight into the field: the arguments may point at the old text. */
	fill(text, sizeof(text), format, args);
	memcpy(err->text, text, strlen(text) + 1);
	err->code = code;
	err->hint[0] = '\0';
	return -1;
}

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	err_vset(err, code, format, args);
	va_end(args);
	return -1;
}

static enum err_code code_of_errno(int number)
{
	switch (number) {
	case ENOENT:
		return ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	default:
		return ERR_INTERNAL;
	}
}

int err_errno(struct err *err, const char *format, ...)
{
	int number = errno;
	char text[ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	fill(text, sizeof(text), format, args);
	va_end(args);
	return err_set(err, code_of_errno(number), "%s: %s", text, strerror(number));
}

int err_wrap(struct err *err, const char *format, ...)
{
	char context[ERR_TEXT_MAX];
	char hint[ERR_HINT_MAX];
	va_list args;

	va_start(args, format);
	fill(context, sizeof(context), format, args);
	va_end(args);
	memcpy(hint, err->hint, strlen(err->hint) + 1);
	err_set(err, err->code, "%s: %s", context, err->text);
	memcpy(err->hint, hint, strlen(hint) + 1);
	return -1;
}

int err_hint(struct err *err, const char *format, ...)
{
	char hint[ERR_HINT_MAX];
	va_list args;

	va_start(args, format);
	fill(hint, sizeof(hint), format, args);
	va_end(args);
	memcpy(err->hint, hint, strlen(hint) + 1);
	return -1;
}

void err_clear(struct err *err)
{
	err->code = ERR_NONE;
	err->text[0] = '\0';
	err->hint[0] = '\0';
}

const char *err_code_name(enum err_code code)
{
	switch (code) {
	case ERR_NONE:
		return "ok";
	case ERR_USER:
		return "user";
	case ERR_INTERNAL:
		return "internal";
	case ERR_DENIED:
		return "denied";
	case ERR_NETWORK:
		return "network";
	case ERR_NOT_FOUND:
		return "not_found";
	case ERR_CONFLICT:
		return "conflict";
	case ERR_GATE:
		return "gate";
	case ERR_FAILED:
		return "failed";
	case ERR_DRIFT:
		return "drift";
	case ERR_MIXED:
		return "mixed";
	case ERR_INTERRUPTED:
		return "interrupted";
	}
	return "internal";
}
