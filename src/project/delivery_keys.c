/* The keys that say how a release is delivered: under `deploy` for the whole
 * project, and under an environment, where each replaces the project's. */
#include "project/keys.h"
#include "project/path.h"

/* ---- path, user ---- */

static void check_path(struct key_decoder *decoder, const struct key *key, const struct node *node,
		       void *base)
{
	(void)key;
	struct place place = {0};
	struct err err = ERR_INIT;
	if (!place_set_path(decoder->arena, ((struct delivery *)base)->path, &place, &err))
		return;
	diags_error(decoder->diags, node->origin, "%s", err.text);
	if (*err.hint)
		diags_hint(decoder->diags, "%s", err.hint);
}

/* ---- reload ---- */

/* NULL when fine, else what is wrong. */
static const char *parse_reload(struct arena *arena, struct reload *reload)
{
	struct reload_spec spec;
	const char *fault = reload_spec_parse(slice_of(reload->text), &spec);

	reload->kind = spec.kind;
	reload->signal = spec.signal;
	reload->subject = spec.kind == RELOAD_NONE ? NULL : arena_str(arena, spec.subject);
	if (fault || spec.kind != RELOAD_PIDFILE)
		return fault;
	struct slice path = slice_starts_with(spec.subject, "/") ? slice_skip(spec.subject, 1) : spec.subject;
	return path_fault(path) ? "needs the path of a pid file, absolute or relative to `path`" : NULL;
}

static void check_reload(struct key_decoder *decoder, const struct key *key, const struct node *node,
			 void *base)
{
	(void)key;
	struct reload *reload = base;
	reload->origin = node->origin;
	if (reload->group && strcmp(reload->group, GROUP_ALL) == 0)
		reload->group = NULL;
	const char *fault = parse_reload(decoder->arena, reload);
	if (!fault)
		return;
	diags_error(decoder->diags, node->origin, "`%s` %s", reload->text, fault);
	if (!reload->kind)
		diags_hint(decoder->diags, "known: systemd:UNIT, supervisor:PROGRAM, pidfile:PATH[:SIGNAL], "
					   "command:SHELL COMMAND, none");
}

/* ---- health ---- */

static bool host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("._-[]:%", c);
}

const char *url_fault(struct slice url)
{
	if (slice_starts_with(url, "http://"))
		url = slice_skip(url, 7);
	else if (slice_starts_with(url, "https://"))
		url = slice_skip(url, 8);
	else
		return "must begin with http:// or https://";
	size_t host = 0;
	while (host < url.len && url.ptr[host] && host_char(url.ptr[host]))
		host++;
	if (!host || url.ptr[0] == ':')
		return "names no host";
	if (host < url.len && !strchr("/?#", url.ptr[host]))
		return url.ptr[host] == '@' ? "must not hold a user or password" : "names no valid host";
	for (size_t i = 0; i < url.len; i++)
		if ((unsigned char)url.ptr[i] <= ' ' || url.ptr[i] == 0x7f)
			return "must not hold spaces or control characters";
	return NULL;
}

const char *address_fault(struct slice address)
{
	uint64_t port;
	for (size_t i = address.len; i > 0; i--) {
		if (address.ptr[i - 1] != ':')
			continue;
		struct slice host = slice_make(address.ptr, i - 1);
		if (!slice_to_u64(slice_skip(address, i), &port) || port < 1 || port > 65535)
			return "needs a port from 1 to 65535 behind the colon";
		for (size_t at = 0; at < host.len; at++)
			if (!host.ptr[at] || !host_char(host.ptr[at]))
				return "names no valid host";
		return host.len && host.ptr[0] != '-' ? NULL : "names no host";
	}
	return "must be HOST:PORT";
}

/* Only what can be known before the values of an environment are. */
static void check_url(struct key_decoder *decoder, const struct key *key, const struct node *node, void *base)
{
	(void)key;
	const struct health *health = base;
	const char *fault = strstr(health->url, "${") ? NULL : url_fault(slice_of(health->url));
	if (fault)
		diags_error(decoder->diags, node->origin, "the URL `%s` %s", health->url, fault);
}

static void check_address(struct key_decoder *decoder, const struct key *key, const struct node *node,
			  void *base)
{
	(void)key;
	const struct health *health = base;
	const char *fault = strstr(health->address, "${") ? NULL : address_fault(slice_of(health->address));
	if (fault)
		diags_error(decoder->diags, node->origin, "the address `%s` %s", health->address, fault);
}

static const struct node *expand_health(struct key_decoder *decoder, const struct key *key,
					const struct node *node)
{
	(void)key;
	if (node->kind == NODE_STR && slice_is(node->text, "none"))
		return node_map_of(decoder->arena, "none", node_bool_at(decoder->arena, true, node->origin));
	if (node->kind == NODE_STR && memmem(node->text.ptr, node->text.len, "://", 3))
		return node_map_of(decoder->arena, "url", node);
	if (node->kind == NODE_STR && slice_starts_with(node->text, "${"))
		return node_map_of(decoder->arena, "url", node);
	diags_error(decoder->diags, node->origin, "`health` must be a URL, `none` or a map");
	diags_hint(decoder->diags, "such as https://example.org/up, or {command: ./check.sh}");
	return NULL;
}

static void check_health(struct key_decoder *decoder, const struct key *key, const struct node *node,
			 void *base)
{
	(void)key;
	struct health *health = &((struct delivery *)base)->health;
	static const char *const only_url[] = {"status", "body", "address"};
	if (health->none) {
		health->kind = HEALTH_NONE;
		return;
	}
	if (health->url && health->command) {
		diags_error(decoder->diags, node_key_origin(node, "command"),
			    "`health` takes `url` or `command`, not both");
		return;
	}
	if (!health->url && !health->command) {
		diags_error(decoder->diags, node->origin, "`health` needs `url` or `command`");
		diags_hint(decoder->diags, "`health: none` says that nothing shall be checked");
		return;
	}
	health->kind = health->url ? HEALTH_URL : HEALTH_COMMAND;
	for (size_t i = 0; i < ARRAY_LEN(only_url) && health->command; i++)
		if (node_find(node, only_url[i]))
			diags_error(decoder->diags, node_key_origin(node, only_url[i]),
				    "`%s` only goes with `url`", only_url[i]);
}

static const struct key health_keys[] = {
	KEY_NODE(struct health, node),
	KEY(struct health, url, STR, .check = check_url, .max = 2048,
	    .text = "asked on each server itself; `${NAME}` stands for a value of the environment",
	    .more = "The connection goes to the server, with the host of the URL as Host and for TLS. The "
		    "answer must "
		    "come from the new activation."),
	KEY(struct health, status, INT, .min = 100, .max = 599,
	    .text = "the status that means healthy; any 2xx or 3xx when absent"),
	KEY(struct health, body, STR, .max = 4096, .text = "a part the body must hold"),
	KEY_AS("within", struct health, within_ms, DURATION, .fallback = "30s",
	       .text = "how long the check may fail before the deployment goes back"),
	KEY(struct health, address, STR, .check = check_address, .max = 512,
	    .text = "HOST:PORT to connect to, seen from the server, instead of the URL's own"),
	KEY(struct health, command, STR,
	    .text = "shell command, run in the new activation on each server; 0 is healthy"),
	KEY(struct health, none, BOOL, .internal = true),
	KEY_END,
};

/* ---- hooks ---- */

static const char *const point_names[HOOK_POINTS] = {
	[HOOK_BEFORE_BUILD] = "before_build",	    [HOOK_AFTER_BUILD] = "after_build",
	[HOOK_BEFORE_PREPARE] = "before_prepare",   [HOOK_AFTER_PREPARE] = "after_prepare",
	[HOOK_BEFORE_ACTIVATE] = "before_activate", [HOOK_AFTER_ACTIVATE] = "after_activate",
	[HOOK_AFTER_LIVE] = "after_live",	    [HOOK_ON_FAILURE] = "on_failure",
	[HOOK_ON_GO_BACK] = "on_go_back",
};

const char *hook_point_name(enum hook_point point)
{
	ASSERT(point < HOOK_POINTS);
	return point_names[point];
}

static void check_hook(struct key_decoder *decoder, const struct key *key, const struct node *node,
		       void *base)
{
	(void)decoder;
	(void)key;
	(void)node;
	struct hook *hook = base;
	if (hook->group && strcmp(hook->group, GROUP_ALL) == 0)
		hook->group = NULL;
}

static void check_build_hooks(struct key_decoder *decoder, const struct key *key, const struct node *node,
			      void *base)
{
	static const char *const needs_server[] = {"where", "group", "as"};
	const struct hook_list *hooks = (const void *)((const char *)base + key->offset);
	(void)node;
	for (size_t i = 0; i < hooks->count; i++)
		for (size_t j = 0; j < ARRAY_LEN(needs_server); j++)
			if (node_find(hooks->items[i].node, needs_server[j]))
				diags_error(decoder->diags,
					    node_key_origin(hooks->items[i].node, needs_server[j]),
					    "`%s` has no meaning in `%s`, which runs where the build runs",
					    needs_server[j], key->name);
}

static const struct key_word wheres[] = {
	{"each", HOOK_EACH, "on every server of the group"},
	{"once", HOOK_ONCE, "on the first server of the group only"},
	{NULL, 0, NULL},
};

static const struct key_word retries[] = {
	{"ask", HOOK_RETRY_ASK, "stop and ask a person"},
	{"run", HOOK_RETRY_RUN, "run it again"},
	{"skip", HOOK_RETRY_SKIP, "go on without it"},
	{NULL, 0, NULL},
};

static const struct key hook_keys[] = {
	KEY_NODE(struct hook, node),
	KEY(struct hook, run, STR, .required = true, .text = "shell command",
	    .example = "php artisan cache:warm"),
	KEY(struct hook, where, ENUM, .fallback = "each", .words = wheres,
	    .text = "on which servers of the group"),
	KEY(struct hook, group, STR, .check = check_word, .max = 63,
	    .text = "which servers; all when absent"),
	KEY(struct hook, as, STR, .check = check_word, .max = 64,
	    .text = "the user to run it as, through sudo; the one we log in as when absent"),
	KEY_AS("timeout", struct hook, timeout_ms, DURATION, .fallback = "5m",
	       .text = "how long it may take"),
	KEY(struct hook, on_retry, ENUM, .fallback = "ask", .words = retries,
	    .text = "what to do when it was interrupted and the deployment is carried on"),
	KEY(struct hook, on_go_back, STR,
	    .text = "shell command that undoes it when the deployment goes back"),
	KEY_END,
};

static const struct key hook_item =
	KEY_ITEM(OBJECT, .keys = hook_keys, .struct_size = sizeof(struct hook), .type_name = "hook",
		 .short_key = "run", .short_text = "a text is the command to `run`", .check = check_hook);

#define HOOKS(point_name, point, what, ...)                                                                  \
	{                                                                                                    \
		.name = point_name, .kind = KEY_KIND_LIST,                                                   \
		.offset = offsetof(struct delivery, hooks.points[point]) - offsetof(struct delivery, hooks), \
		.item = &hook_item, .item_size = sizeof(struct hook), .one_is_list = true, .max = 100,       \
		.text = what, __VA_ARGS__                                                                    \
	}

static const struct key hooks_keys[] = {
	{.name = "",
	 .kind = KEY_KIND_NODE,
	 .offset = offsetof(struct delivery, hooks.node) - offsetof(struct delivery, hooks)},
	HOOKS("before_build", HOOK_BEFORE_BUILD, "before the commands of `build`, in the same sandbox",
	      .check = check_build_hooks),
	HOOKS("after_build", HOOK_AFTER_BUILD, "after the commands of `build`, in the same sandbox",
	      .check = check_build_hooks),
	HOOKS("before_prepare", HOOK_BEFORE_PREPARE, "before anything is sent"),
	HOOKS("after_prepare", HOOK_AFTER_PREPARE, "in the new activation, complete but not live"),
	KEY_LATER("before_migrate", "arrives with migrations"),
	KEY_LATER("after_migrate", "arrives with migrations"),
	HOOKS("before_activate", HOOK_BEFORE_ACTIVATE, "in the new activation, right before the switch"),
	HOOKS("after_activate", HOOK_AFTER_ACTIVATE,
	      "in the new activation, right after the switch, before it is verified"),
	HOOKS("after_live", HOOK_AFTER_LIVE, "once the new activation is live and verified everywhere"),
	HOOKS("on_failure", HOOK_ON_FAILURE, "when the deployment failed"),
	HOOKS("on_go_back", HOOK_ON_GO_BACK, "when the deployment goes back to the activation before"),
	KEY_END,
};

/* ---- the table ---- */

static const struct key path_item = KEY_ITEM(STR, .check = check_release_path);
static const struct key reload_item = KEY_ITEM_IN(struct reload, text, STR, .check = check_reload);

static const struct key_word links[] = {
	{"auto", LINK_AUTO, "reflink where the file system can, else hard link where it is safe, else copy"},
	{"copy", LINK_COPY, "always copy: full separation between activations"},
	{NULL, 0, NULL},
};

const struct key delivery_keys[] = {
	KEY_NODE(struct delivery, node),
	KEY(struct delivery, path, STR, .check = check_path, .max = 1024,
	    .text = "folder on servers that name none themselves; absolute, or relative to the home folder",
	    .example = "/var/www/shop"),
	KEY(struct delivery, shared_dirs, LIST, .item = &path_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 1000, .text = "folders that outlive releases: linked to `shared/`",
	    .example = "[storage, public/uploads]"),
	KEY(struct delivery, shared_files, LIST, .item = &path_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 1000, .text = "files that outlive releases: linked to `shared/`",
	    .example = "[.env]"),
	KEY(struct delivery, generated, LIST, .item = &path_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 1000,
	    .text = "what the application writes into its own release: never linked, never an edit",
	    .example = "[bootstrap/cache]"),
	KEY(struct delivery, user, STR, .check = check_word, .max = 64, .text = "who runs the application"),
	KEY(struct delivery, reload, MAP, .item = &reload_item, .item_size = sizeof(struct reload),
	    .name_offset = offsetof(struct reload, group), .name_word = "group",
	    .check_name = check_group_name, .max = 100, .short_key = GROUP_ALL,
	    .short_text = "a text is for all servers",
	    .text = "how the application takes up the new activation",
	    .more = "`systemd:UNIT`, `supervisor:PROGRAM`, `pidfile:PATH[:SIGNAL]` (HUP unless given), "
		    "`command:SHELL "
		    "COMMAND` or `none`. Every entry whose group a server belongs to is done there.",
	    .example = "{web: \"systemd:php8.3-fpm\", worker: \"supervisor:shop-worker\"}"),
	KEY(struct delivery, health, OBJECT, .keys = health_keys, .struct_size = sizeof(struct health),
	    .type_name = "health", .expand = expand_health, .check = check_health,
	    .short_schema = "{\"type\": \"string\", \"pattern\": \"^none$|^\\\\$\\\\{|://\"}",
	    .short_text = "a text is the `url`; `none` says that nothing shall be checked",
	    .text = "when a server counts as healthy",
	    .more = "Without it a deployment is never verified, and promotion from here stays closed, unless "
		    "`none` "
		    "says that this is meant."),
	KEY(struct delivery, keep, INT, .min = 1, .max = 1000, .fallback = "5",
	    .text = "how many good activations stay on a server"),
	KEY(struct delivery, link, ENUM, .fallback = "auto", .words = links,
	    .text = "how files that did not change are taken over from the activation before"),
	KEY(struct delivery, hooks, OBJECT, .keys = hooks_keys, .type_name = "hooks",
	    .struct_size = sizeof(((struct delivery *)0)->hooks),
	    .text = "commands at points of a deployment", .more = "Each point takes a list of hooks, or one.",
	    .example = "{after_prepare: php artisan config:cache}"),
	KEY_END,
};
