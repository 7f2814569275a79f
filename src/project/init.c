/* What all kinds of applications share in `lockstep init`. */
#include "project/init.h"

#include "base/fd.h"

#include <unistd.h>

extern const struct init_row init_laravel, init_rails, init_node, init_static, init_plain;

const struct init_row *const init_rows[] = {
	&init_laravel, &init_rails, &init_node, &init_static, &init_plain, NULL,
};

bool init_has(int dir_fd, const char *path)
{
	return faccessat(dir_fd, path, F_OK, 0) == 0;
}

bool init_holds(int dir_fd, const char *path, const char *text)
{
	AUTO(buf_free) struct buf content = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;
	if (file_read_at(dir_fd, path, &content, &err) || !content.len)
		return false;
	return memmem(content.ptr, content.len, text, strlen(text)) != NULL;
}

const struct init_row *init_recognise(int dir_fd)
{
	const struct init_row *const *row = init_rows;
	while (!(*row)->recognise(dir_fd))
		row++;
	return *row;
}

const struct init_row *init_find(const char *name)
{
	for (const struct init_row *const *row = init_rows; *row; row++)
		if (strcmp((*row)->name, name) == 0)
			return *row;
	return NULL;
}

/* Small letters, digits and single `-`. */
static const char *valid_name(struct buf *out, const char *text)
{
	for (; *text && out->len < 63; text++) {
		char c = *text;
		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			buf_putc(out, c);
		else if (out->len && out->ptr[out->len - 1] != '-')
			buf_putc(out, '-');
	}
	while (out->len && out->ptr[out->len - 1] == '-')
		out->ptr[--out->len] = 0;
	return out->len ? buf_str(out) : "project";
}

void init_print(const struct init_row *row, const char *project_name, struct buf *out)
{
	AUTO(buf_free) struct buf name_buf = BUF_INIT(64);
	const char *name = valid_name(&name_buf, project_name);
	buf_printf(out,
		   "# lockstep.yml: how %s goes from development to production.\n"
		   "# `lockstep config validate` checks this file;\n"
		   "# `lockstep config reference` explains every key.\n"
		   "version: 1\n"
		   "project: %s\n"
		   "source: .                       # this repository; or any URL git knows\n"
		   "\n"
		   "# A commit is built once. The very same release then goes through all\n"
		   "# environments.\n"
		   "%s"
		   "\n"
		   "deploy:\n"
		   "  path: /var/www/%s\n"
		   "%s"
		   "  # health: \"${APP_URL}/up\"      # asked on each server; a failure takes all back\n"
		   "  health: none                  # until there is a URL to ask\n"
		   "  keep: 5                       # activations kept on each server, to go back to\n"
		   "\n"
		   "# In the order in which a release travels. Put your own servers here.\n"
		   "environments:\n"
		   "  dev:\n"
		   "    deploy_on: { push: main }\n"
		   "    servers: [deploy@dev.example.com]\n"
		   "    values: { APP_URL: \"https://dev.example.com\" }\n"
		   "  staging:\n"
		   "    promote_from: dev\n"
		   "    servers: [deploy@staging.example.com]\n"
		   "    values: { APP_URL: \"https://staging.example.com\" }\n"
		   "  production:\n"
		   "    promote_from: staging       # only what was live and verified there\n"
		   "    servers: [deploy@www1.example.com, deploy@www2.example.com]\n"
		   "    values: { APP_URL: \"https://www.example.com\" }\n",
		   row->words, name, row->build, name, row->deploy);
}
