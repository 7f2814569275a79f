#include "cli/value.h"

#include "base/fd.h"
#include "cli/args.h"
#include "seal/secret.h"

#include <errno.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum { INTERRUPT = 3, END_OF_INPUT = 4, BACKSPACE = 8, KILL_LINE = 21, DELETE = 127 };

static void drop_last(struct buf *out)
{
	while (out->len && (out->ptr[out->len - 1] & 0xc0) == 0x80)
		out->len--;
	out->len -= out->len > 0;
}

static int read_line(struct buf *out, struct err *err)
{
	char c = 0;

	while (true) {
		ssize_t got = read(STDIN_FILENO, &c, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got != 1 || c == '\n' || c == '\r' || c == END_OF_INPUT)
			return 0;
		if (c == INTERRUPT)
			return err_set(err, ERR_INTERRUPTED, "interrupted");
		if (c == BACKSPACE || c == DELETE)
			drop_last(out);
		else if (c == KILL_LINE)
			out->len = 0;
		else
			buf_putc(out, c);
	}
}

/* One line, its characters not shown. Ctrl-C comes as a character, so that the terminal
 * is never left silent. Silent before the prompt: what is typed early is not shown either. */
static int ask(const char *prompt, struct buf *out, struct err *err)
{
	struct termios before, silent;

	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return err_errno(err, "the terminal");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ISIG | ICANON);
	silent.c_cc[VMIN] = 1;
	silent.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) != 0)
		return err_errno(err, "the terminal");
	fprintf(stderr, "%s: ", prompt);
	int failed = read_line(out, err);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return failed ? -1 : buf_check(out, "the value", err);
}

static int ask_twice(const char *prompt, struct buf *out, struct err *err)
{
	AUTO(buf_wipe_free) struct buf again = BUF_SECRET(out->max);

	if (ask(prompt, out, err) || ask("once more", &again, err))
		return -1;
	if (!slice_equal(buf_slice(out), buf_slice(&again)))
		return err_set(err, ERR_USER, "the two are not the same");
	return 0;
}

static int read_all(struct buf *out, struct err *err)
{
	if (fd_read_all(STDIN_FILENO, out, err))
		return err_wrap(err, "standard input");
	ptrdiff_t newline = slice_find(buf_slice(out), '\n');
	if (newline >= 0 && (size_t)newline + 1 == out->len) {
		out->len--;
		if (out->len && out->ptr[out->len - 1] == '\r')
			out->len--;
	}
	return 0;
}

int value_read_input(const struct operation *operation, json_t *input, struct err *err)
{
	const struct operation_key *key = args_value_key(operation);
	AUTO(buf_wipe_free) struct buf value = BUF_SECRET(SECRET_MAX);
	char prompt[200];

	if (!key || (key->only_with && !input_flag(input, key->only_with)) || input_flag(input, "empty"))
		return key && input_flag(input, "empty") ? json_object_set_new(input, key->name, json_string("")) : 0;
	const char *name = input_str(input, "name");
	snprintf(prompt, sizeof(prompt), "%.100s (not shown)", name ? name : key->value);
	if (isatty(STDIN_FILENO) ? ask_twice(prompt, &value, err) : read_all(&value, err))
		return -1;
	if (!slice_is_utf8(buf_slice(&value)) || slice_find(buf_slice(&value), '\0') >= 0)
		return err_set(err, ERR_USER, "the value is not UTF-8 text, or holds a NUL byte: no variable can have it");
	return json_object_set_new(input, key->name, json_stringn(value.ptr ? value.ptr : "", value.len));
}

void value_shown(const struct operation *operation, const json_t *result)
{
	if (json_object_get(result, "value") || json_object_get(result, "export"))
		fprintf(stderr, "lockstep: %s wrote a secret to this terminal; it stays in what can be scrolled back to\n",
			operation->name);
}
