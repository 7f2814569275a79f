/* Config files from templates: ${VAR}, %VAR% (DeployHQ's form) and {{VAR}}, strict.
 *
 *	${VAR}  %VAR%  {{VAR}}                    the value
 *	{{VAR | json}}  ${VAR|shell}  %VAR|url%   the value, quoted for a format
 *	$${VAR}  %%VAR%%  {{{{                    stand for ${VAR}, %VAR% and {{
 *
 * VAR is [A-Za-z_][A-Za-z0-9_]* (for %VAR%: beginning with a letter); blanks may stand
 * inside ${ } and {{ }}. Anything else is left as it is: "100%", "$HOME", "${A:-b}",
 * "{{ item.name }}". What was put in is not looked at again. Text and values may be any
 * bytes. */
#pragma once

#include "base/buf.h"
#include "values/config_set.h"

#define QUOTE_FORMATS "json, yaml, shell, dotenv, php, ini, configparser, url, base64, raw"

enum { TEMPLATE_MAX = 4 << 20 };
enum template_syntax { TEMPLATE_DOLLAR = 1, TEMPLATE_PERCENT = 2, TEMPLATE_BRACES = 4, TEMPLATE_ALL = 7 };

struct template_spec {
	const char *name; /* for errors: "deploy/env.tpl" */
	struct slice text;
	unsigned syntax;   /* of enum template_syntax; 0: all */
	const char *quote; /* how values without a filter of their own are quoted; NULL: raw */
};

/* Every mistake in one error, each with name:line:column: unknown variable (with the
 * nearest), unknown filter, a value that cannot be written in the format (a newline in
 * an ini). `out` is made with BUF_SECRET, as the result may hold secrets, also when
 * this failed: free it with buf_wipe_free. */
int template_render(const struct template_spec *spec, const struct config_set *set, struct buf *out,
		    struct err *err) CHECKED;
/* The variables a template uses, in order, each as often as it stands there. */
int template_names(const struct template_spec *spec,
		   int (*visit)(void *context, struct slice name, struct err *err), void *context,
		   struct err *err) CHECKED;

/* A file of a release in which __NAME__ stands for a value that builds bake in
 * (value_name_baked); every other __text__ is left. Such files are public and mostly
 * scripts: secrets and values that would end a quoted text are refused. `count_out`: how
 * many were replaced. */
int template_substitute(const char *file_name, struct slice text, const struct config_set *set,
			struct buf *out, size_t *count_out, struct err *err) CHECKED;

/* Quotes a value for one of QUOTE_FORMATS, such that the format's readers get the same
 * bytes; ERR_USER where it cannot be written ("holds a line break, which …", to stand
 * behind the value's name), and then `out` is as before. */
int quote_value(const char *format, struct slice value, struct buf *out, struct err *err) CHECKED;
bool quote_format_known(struct slice format);
