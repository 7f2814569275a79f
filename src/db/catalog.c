/* What the engines of catalog.h have in common: limits, waiting, messages. */
#include "db/catalog_internal.h"

#include "base/arena.h"
#include "base/stop.h"
#include "base/wipe.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

struct catalog *catalog_new(const struct catalog_engine *engine, const struct catalog_spec *spec)
{
	struct catalog *catalog = mem_alloc(sizeof(*catalog));

	catalog->engine = engine;
	catalog->deadline_ms = clock_mono_ms() + spec->time_ms;
	catalog->statement_ms = spec->statement_ms;
	catalog->bytes_max = spec->bytes_max;
	catalog->carrier_fd = spec->carry ? spec->carrier_fd : -1;
	catalog->carry = spec->carry;
	catalog->carry_context = spec->carry_context;
	size_t len = spec->password ? strlen(spec->password) : 0;
	if (len < sizeof(catalog->password))
		memcpy(catalog->password, spec->password ? spec->password : "", len);
	return catalog;
}

void catalog_free(struct catalog *catalog)
{
	wipe_bytes(catalog->password, sizeof(catalog->password));
	free(catalog);
}

int catalog_open(const struct catalog_engine *engine, const struct catalog_spec *spec, struct catalog **out,
		 struct err *err)
{
	*out = NULL;
	if (spec->password && strlen(spec->password) >= sizeof(((struct catalog *)0)->password))
		return err_set(err, ERR_USER, "the password is longer than %zu bytes",
			       sizeof(((struct catalog *)0)->password) - 1);
	return engine->open(spec, out, err);
}

void catalog_close(struct catalog **catalog)
{
	if (*catalog)
		(*catalog)->engine->close(*catalog);
	*catalog = NULL;
}

static int ask(struct catalog *catalog, const char *sql, catalog_row *row, void *context, struct err *err)
{
	if (clock_mono_ms() < catalog->deadline_ms)
		return catalog->engine->query(catalog, sql, row, context, err);
	catalog->lost = true;
	return err_set(err, ERR_GATE, "the time for reading this database was over");
}

int catalog_query(struct catalog *catalog, const char *sql, catalog_row *row, void *context, struct err *err)
{
	if (catalog->lost)
		return err_set(err, ERR_NETWORK, "the connection was lost before: %s", catalog->why_lost);
	int result = ask(catalog, sql, row, context, err);
	/* Whoever asked may get along without an answer: the next one still learns why. */
	if (result && catalog->lost)
		snprintf(catalog->why_lost, sizeof(catalog->why_lost), "%.*s",
			 (int)sizeof(catalog->why_lost) - 1, err->text);
	return result;
}

bool catalog_lost(const struct catalog *catalog)
{
	return catalog->lost;
}

int catalog_version(const struct catalog *catalog)
{
	return catalog->version;
}

void catalog_put_literal(const struct catalog *catalog, struct buf *out, struct slice text)
{
	/* A backslash means itself to PostgreSQL (standard_conforming_strings is set for the
	 * transaction) and something else to MySQL. */
	bool doubles = strcmp(catalog->engine->name, "mysql") == 0;

	buf_putc(out, '\'');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\'' || (doubles && text.ptr[i] == '\\'))
			buf_putc(out, text.ptr[i]);
		if (text.ptr[i])
			buf_putc(out, text.ptr[i]);
	}
	buf_putc(out, '\'');
}

int catalog_wait(struct catalog *catalog, int fd, short events, int64_t until_ms, short *got, struct err *err)
{
	for (;;) {
		int64_t left = until_ms - clock_mono_ms();
		if (left <= 0)
			return 0;
		struct pollfd fds[2] = {{.fd = fd, .events = events},
					{.fd = catalog->carrier_fd, .events = POLLIN}};
		if (stop_asked())
			return err_set(err, ERR_INTERRUPTED, "interrupted");
		int count = poll(fds, 2, (int)MIN(left, (int64_t)STOP_LOOK_MS));
		if (count < 0 && errno != EINTR)
			return err_errno(err, "poll");
		if (count <= 0)
			continue;
		if (fds[1].revents && catalog->carry(catalog->carry_context, fd, err))
			return -1;
		if (fds[0].revents) {
			*got = fds[0].revents;
			return 1;
		}
	}
}

int catalog_take(struct catalog *catalog, const struct slice *values, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		catalog->bytes += values[i].len;
	if (catalog->bytes > catalog->bytes_max)
		return err_set(err, ERR_INTERNAL, "the database says more than %zu MB about itself",
			       catalog->bytes_max >> 20);
	return 0;
}

const char *catalog_message(const struct catalog *catalog, const char *message, struct buf *out)
{
	AUTO(buf_free) struct buf text = BUF_INIT(4096);
	size_t len = strlen(catalog->password);
	struct slice rest = slice_trim(slice_of(message));

	while (rest.len) {
		bool is_password = len > 3 && rest.len >= len && memcmp(rest.ptr, catalog->password, len) == 0;
		if (is_password)
			buf_puts(&text, "***");
		else if (rest.ptr[0] == '\n')
			buf_puts(&text, "; ");
		else if (rest.ptr[0] != '\t')
			buf_putc(&text, rest.ptr[0]);
		rest = slice_skip(rest, is_password ? len : 1);
	}
	buf_put_visible(out, buf_slice(&text));
	return buf_str(out);
}
