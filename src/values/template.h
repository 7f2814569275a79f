/* Config files from templates: ${VAR}, %VAR% (DeployHQ's form) and {{VAR}}, strict.
 *
 *	${VAR}  %VAR%  {{VAR}}        the value
 *	{{VAR | json}}  ${VAR|shell}  quoted for a format: json yaml shell dotenv php ini url base64 raw
 *	$${VAR}  %%VAR%%  {{{{        stand for ${VAR}, %VAR% and {{
 *
 * VAR is [A-Za-z_][A-Za-z0-9_]* (for %VAR%: beginning with a letter). Anything else is
 * left as it is: "100%", "$HOME", "{{ item.name }}" with `syntax` not holding braces.
 * What was put in is not looked at again. */
#pragma once

#include "base/buf.h"
#include "values/config_set.h"

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
 * an ini). The result may hold secrets: free it with buf_wipe_free. */
int template_render(const struct template_spec *spec, const struct config_set *set, struct buf *out,
		    struct err *err) CHECKED;
/* The variables a template uses, in order, each as often as it stands there. */
int template_names(const struct template_spec *spec,
		   int (*visit)(void *context, struct slice name, struct err *err), void *context,
		   struct err *err) CHECKED;

/* Quotes a value for a format named as above; ERR_USER where it cannot be written. */
int quote_value(const char *format, struct slice value, struct buf *out, struct err *err) CHECKED;
bool quote_format_known(struct slice format);
