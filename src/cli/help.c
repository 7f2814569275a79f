#include "cli/help.h"

#include "cli/args.h"

static void put_flag(struct buf *out, const struct operation_key *key)
{
	buf_puts(out, "--");
	for (const char *c = key->name; *c; c++)
		buf_putc(out, *c == '_' ? '-' : *c);
	if (key->kind != OPERATION_FLAG)
		buf_printf(out, " %s", key->value);
}

static void put_usage(struct buf *out, const struct operation *operation)
{
	buf_printf(out, "lockstep %s", operation->name);
	for (size_t i = 0; i < operation->key_count; i++) {
		const struct operation_key *key = &operation->keys[i];
		if (key->positional)
			buf_printf(out, key->optional ? " [%s%s]" : " %s%s", key->value,
				   key->kind == OPERATION_LIST ? "..." : "");
	}
	for (size_t i = 0; i < operation->key_count; i++) {
		if (operation->keys[i].positional)
			continue;
		buf_puts(out, " [");
		put_flag(out, &operation->keys[i]);
		buf_putc(out, ']');
	}
}

/* What a verb does decides where the overview lists it. */
static const struct {
	enum permission permission;
	const char *title;
} groups[] = {
	{ PERMISSION_DEPLOY, "Change servers" },
	{ PERMISSION_ROLLBACK, "Go back" },
	{ PERMISSION_READ, "Look" },
	{ PERMISSION_BUILD, "Build" },
	{ PERMISSION_ADMIN, "This machine" },
	{ PERMISSION_NONE, "The program" },
};

void help_overview(struct buf *out, bool colour)
{
	const char *bold = style_begin(colour, STYLE_BOLD);
	const char *end = style_end(colour, STYLE_BOLD);

	buf_printf(out, "%slockstep%s keeps development, staging and production the same: it builds a commit once,\n"
			"carries that very artifact from environment to environment, and says where they differ.\n\n",
		   bold, end);
	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		buf_printf(out, "%s%s%s\n", bold, groups[g].title, end);
		for (size_t i = 0; i < operation_count; i++)
			if (operations[i]->permission == groups[g].permission)
				buf_printf(out, "  %-17s %s\n", operations[i]->name, operations[i]->summary);
		buf_putc(out, '\n');
	}
	buf_printf(out, "%sOptions of every verb%s\n", bold, end);
	for (size_t i = 0; i < global_option_count; i++) {
		char flag[32];
		snprintf(flag, sizeof(flag), "%s%s%s", global_options[i].flag, global_options[i].value ? " " : "",
			 global_options[i].value ? global_options[i].value : "");
		buf_printf(out, "  %-17s %s\n", flag, global_options[i].text);
	}
	buf_puts(out, "\n`lockstep help VERB` says more. A new project begins with `lockstep init`.\n");
}

static void put_keys(struct buf *out, const struct operation *operation, bool markdown)
{
	for (size_t i = 0; i < operation->key_count; i++) {
		const struct operation_key *key = &operation->keys[i];
		struct buf flag = BUF_INIT(128);
		if (key->positional)
			buf_puts(&flag, key->value);
		else
			put_flag(&flag, key);
		buf_printf(out, markdown ? "| `%s` | %s |\n" : "  %-22s %s\n", buf_str(&flag), key->text);
		buf_free(&flag);
	}
}

void help_operation(struct buf *out, const struct operation *operation, bool colour)
{
	const char *bold = style_begin(colour, STYLE_BOLD);
	const char *end = style_end(colour, STYLE_BOLD);

	buf_printf(out, "%slockstep %s%s: %s\n\n  ", bold, operation->name, end, operation->summary);
	put_usage(out, operation);
	buf_puts(out, "\n");
	if (operation->key_count) {
		buf_putc(out, '\n');
		put_keys(out, operation, false);
	}
	if (*operation->details)
		buf_printf(out, "\n%s\n", operation->details);
}

void help_reference(struct buf *out)
{
	buf_puts(out, "# The command line\n\nPrinted from the program (`lockstep help reference`); a test keeps it true.\n\n"
		      "Data go to standard output, messages and progress to standard error. "
		      "The exit codes stand in [exit-codes.md](exit-codes.md).\n\n"
		      "## Options of every verb\n\n| option | meaning |\n| --- | --- |\n");
	for (size_t i = 0; i < global_option_count; i++)
		buf_printf(out, "| `%s%s%s` | %s |\n", global_options[i].flag, global_options[i].value ? " " : "",
			   global_options[i].value ? global_options[i].value : "", global_options[i].text);
	for (size_t i = 0; i < operation_count; i++) {
		const struct operation *operation = operations[i];
		buf_printf(out, "\n## lockstep %s\n\n%c%s.\n\n```\n", operation->name,
			   operation->summary[0] >= 'a' ? operation->summary[0] - 32 : operation->summary[0],
			   operation->summary + 1);
		put_usage(out, operation);
		buf_puts(out, "\n```\n");
		if (operation->key_count) {
			buf_puts(out, "\n| input | meaning |\n| --- | --- |\n");
			put_keys(out, operation, true);
		}
		if (*operation->details)
			buf_printf(out, "\n%s\n", operation->details);
	}
}
