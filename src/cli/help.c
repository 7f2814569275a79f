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
		if (operation->keys[i].positional || operation->keys[i].kind == OPERATION_VALUE)
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
	{ PERMISSION_SECRET, "Secrets" },
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
	buf_puts(out, "\n`lockstep help VERB` says more, `lockstep help exit-codes` what a verb ends with.\n"
		      "A new project begins with `lockstep init`.\n");
}

static void put_keys(struct buf *out, const struct operation *operation, bool markdown)
{
	for (size_t i = 0; i < operation->key_count; i++) {
		const struct operation_key *key = &operation->keys[i];
		struct buf flag = BUF_INIT(128);
		if (key->positional || key->kind == OPERATION_VALUE)
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
	buf_puts(out, "# The command line\n\nPrinted by `lockstep help reference`; a test keeps it true.\n\n"
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

static const struct {
	enum err_code code;
	const char *text;
	const char *next; /* what to do */
} exit_codes[] = {
	{ ERR_NONE, "done, or nothing to do", "" },
	{ ERR_USER, "the request or a file of yours is wrong, or `server check` found an obstacle", "mend what is named" },
	{ ERR_INTERNAL, "the system or this program failed: a full disk, a damaged store", "read the message; report it when "
										      "it makes no sense" },
	{ ERR_DENIED, "not allowed: no key accepted, a host key unknown or changed, a folder of somebody else's",
	  "see faq-errors.md" },
	{ ERR_NETWORK, "a connection could not be made or was lost", "try again; the same command goes on safely" },
	{ ERR_NOT_FOUND, "there is no such environment, ref, release, deployment or program", "" },
	{ ERR_CONFLICT, "somebody else is deploying there, the place belongs to another project, or what the plan expected is "
			"no longer true", "wait, or plan again" },
	{ ERR_GATE, "a gate is closed", "do what the message says, or `--hotfix --reason TEXT`" },
	{ ERR_FAILED, "failed; the servers were not touched or are back on what was live before, and the message says which",
	  "mend the cause and deploy again" },
	{ ERR_DRIFT, "environments differ where no rule allows it, or somebody changed a server", "see parity.md" },
	{ ERR_MIXED, "the servers of the environment are mixed, or some cannot be asked; the message lists each",
	  "run the same command again once they can be reached" },
	{ ERR_INTERRUPTED, "interrupted; what was begun has been taken back", "a second Ctrl-C leaves at once: then run the "
									      "command again" },
};

void help_exit_codes(struct buf *out)
{
	buf_puts(out, "# Exit codes\n\nPrinted by `lockstep help exit-codes`; a test keeps it true.\n\n"
		      "Data go to standard output, messages to standard error. With `--json`, events and the result are "
		      "JSON lines on standard output; the last line has `\"event\":\"result\"`, `\"exit\"` and, on "
		      "failure, `\"error\"`, whose `code` is the name.\n\n"
		      "| code | name | meaning | what to do |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < ARRAY_LEN(exit_codes); i++)
		buf_printf(out, "| %d | `%s` | %s | %s |\n", (int)exit_codes[i].code,
			   err_code_name(exit_codes[i].code), exit_codes[i].text,
			   exit_codes[i].next);
}
