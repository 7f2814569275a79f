/* Writing files of variables. Which grammar says what: env_file.h. */
#include "values/env_file.h"

#include "values/template.h"

/* bufio.Scanner's limit of a line, in which docker reads. */
enum { DOCKER_LINE_MAX = (64 << 10) - 1 };

static int put_systemd(const char *name, struct slice value, struct buf *out, struct err *err)
{
	if (memchr(value.ptr, 0, value.len))
		return err_set(err, ERR_USER, "holds a NUL byte");
	if (!slice_is_utf8(value))
		return err_set(err, ERR_USER, "is not UTF-8, which systemd needs");
	/* In double quotes systemd.exec(5) takes a backslash from these four alone. */
	buf_printf(out, "%s=\"", name);
	for (size_t i = 0; i < value.len; i++) {
		if (strchr("\"\\$`", value.ptr[i]))
			buf_putc(out, '\\');
		buf_putc(out, value.ptr[i]);
	}
	buf_puts(out, "\"\n");
	return 0;
}

static int put_docker(const char *name, struct slice value, struct buf *out, struct err *err)
{
	for (size_t i = 0; i < value.len; i++)
		if (!value.ptr[i] || value.ptr[i] == '\n' || value.ptr[i] == '\r')
			return err_set(err, ERR_USER, "holds %s, which docker's env files cannot say",
				       value.ptr[i] ? "a line break" : "a NUL byte");
	if (!slice_is_utf8(value))
		return err_set(err, ERR_USER, "is not UTF-8, which docker needs");
	if (strlen(name) + 1 + value.len > DOCKER_LINE_MAX)
		return err_set(err, ERR_USER, "is longer than a line of docker's env files may be (64 KiB)");
	buf_printf(out, "%s=", name);
	buf_put_slice(out, value);
	buf_putc(out, '\n');
	return 0;
}

static int put_quoted(const char *before, const char *name, const char *format, struct slice value,
		      struct buf *out, struct err *err)
{
	buf_printf(out, "%s%s=", before, name);
	if (quote_value(format, value, out, err))
		return -1;
	buf_putc(out, '\n');
	return 0;
}

static int put_one(enum env_grammar grammar, const char *name, struct slice value, struct buf *out,
		   struct err *err)
{
	switch (grammar) {
	case ENV_DOTENV:
		return put_quoted("", name, "dotenv", value, out, err);
	case ENV_SYSTEMD:
		return put_systemd(name, value, out, err);
	case ENV_DOCKER:
		return put_docker(name, value, out, err);
	case ENV_SHELL:
		return put_quoted("export ", name, "shell", value, out, err);
	}
	ASSERT(!"a known grammar");
	return -1;
}

static const char *const grammar_names[] = {
	[ENV_DOTENV] = "dotenv",
	[ENV_SYSTEMD] = "systemd",
	[ENV_DOCKER] = "docker",
	[ENV_SHELL] = "shell",
};

bool env_grammar_find(struct slice name, enum env_grammar *out)
{
	for (size_t i = ENV_DOTENV; i < ARRAY_LEN(grammar_names); i++)
		if (slice_is(name, grammar_names[i])) {
			*out = (enum env_grammar)i;
			return true;
		}
	return false;
}

int env_file_write(enum env_grammar grammar, const struct config_set *set, struct buf *out, struct err *err)
{
	AUTO(buf_free) struct buf faults = BUF_INIT(KIB(64));
	size_t count = 0;

	buf_puts(out, "# Written by lockstep; a change made here is lost with the next deployment.\n");
	for (size_t i = 0; i < set->count; i++) {
		const struct config_value *value = &set->values[i];
		struct err why = ERR_INIT;
		if (put_one(grammar, value->name, secret_reveal(value->value), out, &why) == 0)
			continue;
		buf_printf(&faults, "\n  `%s` %s", value->name, why.text);
		count++;
	}
	if (count) {
		err_set(err, ERR_USER, "%zu value%s cannot be written to a file for %s:%s", count,
			count == 1 ? "" : "s", grammar_names[grammar], buf_str(&faults));
		return err_hint(err, "leave them out with `only`, or choose another grammar");
	}
	return buf_check(out, "the file of variables", err);
}
