/* The keys of `parity`, of an environment's own `parity`, and of `require`. */
#include "project/keys.h"
#include "project/path.h"

#include <stdlib.h>

/* One a probe or collector, and `db`: what a key of a fact begins with. */
const char *const parity_dimensions[] = {
	"container", "db", "dns", "endpoint", "env",   "file", "http", "hw",
	"net",	     "os", "pkg", "runtime",  "shape", "tls",  "unit", NULL,
};

static bool interpolated(const char *text)
{
	return strstr(text, "${") != NULL;
}

/* ---- what is looked at ---- */

static const char *folder_fault(struct slice path)
{
	if (!slice_starts_with(path, "/"))
		return "must be absolute";
	if (has_control(path))
		return "must not hold control characters";
	for (struct slice rest = slice_skip(path, 1); rest.ptr;) {
		struct slice part = slice_cut(&rest, '/');
		if (slice_is(part, "..") || slice_is(part, "."))
			return "must be written without `.` and `..`";
		if (!part.len)
			return path.len == 1 ? "would be the whole server" : "must be written without `//`";
	}
	return NULL;
}

static void check_server_path(struct key_decoder *decoder, const struct key *key, const struct node *node,
			      void *base)
{
	const char **member = (void *)((char *)base + key->offset);
	struct slice path = slice_of(*member);
	while (path.len > 1 && slice_ends_with(path, "/"))
		path.len--;
	const char *fault = folder_fault(path);
	if (fault)
		diags_error(decoder->diags, node->origin, "the path `%s` %s", *member, fault);
	else
		*member = arena_str(decoder->arena, path);
}

const char *dns_name_fault(struct slice name)
{
	if (!name.len || name.len > 253)
		return "is no name of 1 to 253 characters";
	if (name.ptr[0] == '-' || name.ptr[0] == '.')
		return "begins with a character no name begins with";
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '-' || c == '_' || c == '.';
		if (!fine || (c == '.' && i > 0 && name.ptr[i - 1] == '.'))
			return "is no DNS name";
	}
	return NULL;
}

static void check_text(struct key_decoder *decoder, const struct key *key, const struct node *node,
		       void *base, const char *(*fault_of)(struct slice), const char *what)
{
	const char *text = *(const char **)(void *)((char *)base + key->offset);
	const char *fault = interpolated(text) ? NULL : fault_of(slice_of(text));
	if (fault)
		diags_error(decoder->diags, node->origin, "the %s `%s` %s", what, text, fault);
}

static void check_url(struct key_decoder *decoder, const struct key *key, const struct node *node, void *base)
{
	check_text(decoder, key, node, base, url_fault, "URL");
}

static void check_dns_name(struct key_decoder *decoder, const struct key *key, const struct node *node,
			   void *base)
{
	check_text(decoder, key, node, base, dns_name_fault, "name");
}

static void check_port(struct key_decoder *decoder, const struct key *key, const struct node *node,
		       void *base)
{
	check_text(decoder, key, node, base, address_fault, "address");
}

/* Nothing but values: `${A}`, `${A}${B}`. */
static bool only_values(struct slice text)
{
	while (text.len) {
		ptrdiff_t end = slice_find(text, '}');
		if (!slice_starts_with(text, "${") || end < 0)
			return false;
		text = slice_skip(text, (size_t)end + 1);
	}
	return true;
}

static const char password_written[] = "holds a password for everybody to read";

static const char *query_fault(struct slice query)
{
	static const char *const secret[] = {"password", "passwd", "pwd", "sslpassword"};
	while (query.ptr) {
		struct slice value = slice_cut(&query, '&'), name = slice_cut(&value, '=');
		for (size_t i = 0; i < ARRAY_LEN(secret); i++)
			if (value.ptr && slice_is(name, secret[i]) && !only_values(value))
				return password_written;
	}
	return NULL;
}

static const char *userinfo_fault(struct slice authority)
{
	size_t end = authority.len;
	while (end > 0 && authority.ptr[end - 1] != '@')
		end--;
	if (!end)
		return NULL;
	struct slice password = slice_make(authority.ptr, end - 1);
	slice_cut(&password, ':');
	return password.ptr && !only_values(password) ? password_written : NULL;
}

const char *database_fault(struct slice address)
{
	static const char *const schemes[] = {"postgres", "postgresql", "mysql", "mariadb", "sqlite"};
	struct slice rest = address;

	if (has_control(address) || slice_find(address, ' ') >= 0)
		return "must not hold spaces or control characters";
	if (slice_starts_with(address, "${"))
		return NULL;
	struct slice scheme = slice_cut(&rest, ':');
	bool known = false;
	for (size_t i = 0; i < ARRAY_LEN(schemes) && rest.ptr; i++)
		known = known || slice_is(scheme, schemes[i]);
	if (rest.ptr && slice_starts_with(rest, "//")) {
		rest = slice_skip(rest, 2);
		struct slice authority = slice_cut(&rest, '?');
		const char *fault = userinfo_fault(authority);
		if (!fault && rest.ptr)
			fault = query_fault(rest);
		if (fault)
			return fault;
	}
	return known ? NULL
		     : "begins with none of postgres://, postgresql://, mysql://, mariadb:// and sqlite:";
}

/* What is wrong is told without the address: a secret may stand in it. */
static void check_database(struct key_decoder *decoder, const struct key *key, const struct node *node,
			   void *base)
{
	const char *address = *(const char **)(void *)((char *)base + key->offset);
	const char *fault = database_fault(slice_of(address));
	if (!fault)
		return;
	diags_hide_line(decoder->diags, node->origin);
	diags_error(decoder->diags, node->origin, "the address of this database %s", fault);
	if (fault == password_written)
		diags_hint(decoder->diags, "put it into a secret variable and write ${NAME} in its place");
	else
		diags_hint(decoder->diags, "such as \"${DATABASE_URL}\" or "
					   "\"postgres://app:${DB_PASSWORD}@db.internal/shop\"");
}

static void check_database_name(struct key_decoder *decoder, const struct key *key,
				const struct node_entry *entry)
{
	(void)key;
	bool valid = entry->key.len > 0 && entry->key.len <= 63;
	for (size_t i = 0; i < entry->key.len && valid; i++) {
		char c = entry->key.ptr[i];
		valid = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
	}
	if (valid)
		return;
	diags_error(decoder->diags, entry->origin, "`%.*s` cannot be the name of a database",
		    (int)MIN(entry->key.len, (size_t)100), entry->key.ptr);
	diags_hint(decoder->diags, "small letters, digits, `-` and `_`");
}

static size_t dimension_count(void)
{
	size_t count = 0;
	while (parity_dimensions[count])
		count++;
	return count;
}

static bool dimension_known(struct slice name)
{
	for (size_t i = 0; parity_dimensions[i]; i++)
		if (slice_is(name, parity_dimensions[i]))
			return true;
	return false;
}

static void hint_dimension(struct key_decoder *decoder, struct slice name)
{
	const char *near = key_nearest(name, parity_dimensions, dimension_count());
	AUTO(buf_free) struct buf all = BUF_INIT(KIB(1));

	if (near) {
		diags_hint(decoder->diags, "did you mean `%s`?", near);
		return;
	}
	for (size_t i = 0; parity_dimensions[i]; i++)
		buf_printf(&all, "%s%s", i ? ", " : "", parity_dimensions[i]);
	diags_hint(decoder->diags, "there are %s", buf_str(&all));
}

static void check_dimension(struct key_decoder *decoder, const struct key *key, const struct node *node,
			    void *base)
{
	const char *name = *(const char **)(void *)((char *)base + key->offset);
	if (dimension_known(slice_of(name)))
		return;
	diags_error(decoder->diags, node->origin, "there is no dimension `%.100s`", name);
	hint_dimension(decoder, slice_of(name));
}

static const struct key path_item = KEY_ITEM(STR, .max = 1024, .check = check_server_path);
static const struct key env_file_item = KEY_ITEM(STR, .max = 1024, .check = check_release_path);
static const struct key url_item = KEY_ITEM(STR, .max = 2048, .check = check_url);
static const struct key name_item = KEY_ITEM(STR, .max = 1024, .check = check_dns_name);
static const struct key port_item = KEY_ITEM(STR, .max = 1024, .check = check_port);
static const struct key dimension_item = KEY_ITEM(STR, .max = 255, .check = check_dimension);
static const struct key database_item =
	KEY_ITEM_IN(struct parity_database, address, STR, .max = 4096, .check = check_database);

/* The limits are half of what a probe or collector takes: the project's and an
 * environment's are looked at together. */
static const struct key looks_keys[] = {
	KEY(struct parity_looks, paths, LIST, .item = &path_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 500,
	    .text = "files and folders on the servers to look at beside the release",
	    .example = "[/etc/nginx/sites-enabled/shop.conf]"),
	KEY(struct parity_looks, env_files, LIST, .item = &env_file_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 50, .text = "files of variables in the activation",
	    .more = "When absent, those of `files` with `env`, else `.env`.", .example = "[.env]"),
	KEY(struct parity_looks, urls, LIST, .item = &url_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 100,
	    .text = "URLs whose status, headers and redirects are compared; `${NAME}` stands for a value",
	    .example = "[\"${APP_URL}/\"]"),
	KEY(struct parity_looks, names, LIST, .item = &name_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 100,
	    .text = "DNS names that are resolved, from the servers and from here",
	    .example = "[db.internal]"),
	KEY(struct parity_looks, ports, LIST, .item = &port_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 100, .text = "`HOST:PORT`: whether it takes a connection",
	    .example = "[\"${DB_HOST}:5432\"]"),
	KEY(struct parity_looks, databases, MAP, .item = &database_item,
	    .item_size = sizeof(struct parity_database),
	    .name_offset = offsetof(struct parity_database, name), .name_word = "database",
	    .check_name = check_database_name, .pattern = "^[a-z0-9_-]{1,63}$", .max = 50,
	    .text = "databases whose schema, settings and roles are compared, each by its address",
	    .more = "A password stands in it only as `${NAME}`. When absent, what the application's own "
		    "variables say (`DATABASE_URL`, `DB_HOST`, …).",
	    .example = "{main: \"${DATABASE_URL}\"}"),
	KEY(struct parity_looks, skip, LIST, .item = &dimension_item, .item_size = sizeof(char *),
	    .one_is_list = true, .max = 32, .text = "dimensions that are not looked at", .example = "[pkg]"),
	KEY_END,
};

const struct key environment_parity_keys[] = {
	KEY_NODE(struct environment_parity, node),
	KEY_INCLUDE(struct environment_parity, looks, looks_keys),
	KEY_END,
};

/* ---- rules ---- */

static const struct key_word severities[] = {
	{"low", SEVERITY_LOW, NULL},
	{"medium", SEVERITY_MEDIUM, NULL},
	{"high", SEVERITY_HIGH, NULL},
	{"critical", SEVERITY_CRITICAL, NULL},
	{NULL, 0, NULL},
};

static const struct key word_item = KEY_ITEM(STR, .max = 1000);
static const struct key text_item = KEY_ITEM(TEXT, .max = 1000);

static void check_ratio(struct key_decoder *decoder, const struct key *key, const struct node *node,
			void *base)
{
	const struct parity_allow_key *rule = base;
	double ratio;
	(void)key;

	if (!parity_ratio(rule->ratio, &ratio)) {
		diags_error(decoder->diags, node->origin, "`%.100s` is no ratio above 0 and up to 1",
			    rule->ratio);
		diags_hint(decoder->diags, "0.25: a quarter of what the reference has is enough");
	}
}

bool parity_ratio(const char *text, double *out)
{
	size_t digits = strspn(text, "0123456789.");
	if (!digits || text[digits] || digits > 20 || strchr(text, '.') != strrchr(text, '.') ||
	    text[0] == '.')
		return false;
	/* Digits and one point are read alike in the C locale, which is the only one here. */
	*out = strtod(text, NULL);
	return *out > 0 && *out <= 1;
}

static void check_until(struct key_decoder *decoder, const struct key *key, const struct node *node,
			void *base)
{
	struct parity_allow_key *rule = base;
	(void)key;

	if (!day_parse(rule->until, &rule->until_ms))
		diags_error(decoder->diags, node->origin, "`%.100s` is no day such as 2027-01-31",
			    rule->until);
}

static bool has_wildcard(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (strchr("*?[\\", text.ptr[i]))
			return true;
	return false;
}

static bool matches_a_dimension(struct slice pattern)
{
	for (size_t i = 0; parity_dimensions[i]; i++)
		if (slice_glob_match(pattern, slice_of(parity_dimensions[i])))
			return true;
	return false;
}

/* A `*` takes slashes too: "*" and "h*total" are patterns of whole keys. */
static void check_fact(struct key_decoder *decoder, const struct key *key, const struct node *node,
		       void *base)
{
	const char *fact = ((const struct parity_allow_key *)base)->fact;
	struct slice subject = slice_of(fact), dimension = slice_cut(&subject, '/');
	(void)key;

	if (has_control(slice_of(fact))) {
		diags_error(decoder->diags, node->origin,
			    "the key of a fact must not hold control characters");
	} else if (has_wildcard(dimension)) {
		if (!slice_starts_with(dimension, "*") && subject.ptr && !matches_a_dimension(dimension)) {
			diags_error(decoder->diags, node->origin,
				    "`%s` matches no fact: no dimension is `%.*s`", fact,
				    SLICE_ARG(dimension));
			hint_dimension(decoder, dimension);
		}
	} else if (!dimension_known(dimension)) {
		diags_error(decoder->diags, node->origin,
			    "`%s` matches no fact: there is no dimension `%.*s`", fact, SLICE_ARG(dimension));
		hint_dimension(decoder, dimension);
	} else if (!subject.len || slice_starts_with(subject, "/") || slice_ends_with(subject, "/")) {
		diags_error(decoder->diags, node->origin,
			    "`%s` matches no fact: a key is DIMENSION/SUBJECT/ATTRIBUTE", fact);
		diags_hint(decoder->diags, "for all below it write `%.*s%s*`",
			   (int)(strlen(fact) - (subject.len && slice_ends_with(subject, "/"))), fact,
			   subject.ptr && !subject.len ? "" : "/");
	}
}

static bool is_empty(const char *text)
{
	return !text || !slice_trim(slice_of(text)).len;
}

/* Whether the rule lets differ what the policy may hold the same: somebody answers for it. */
static bool loosens(const struct parity_allow_key *rule)
{
	return rule->ratio || rule->minor || rule->major || rule->ignore;
}

static void check_allow(struct key_decoder *decoder, const struct key *key, const struct node *node,
			void *base)
{
	static const char forms[] =
		"same, unique, ratio, minor, major, one_of, live_only_in, present and ignore";
	const struct parity_allow_key *rule = base;
	const struct {
		const char *name;
		bool said;
	} truths[] = {{"same", rule->same},   {"unique", rule->unique},	  {"minor", rule->minor},
		      {"major", rule->major}, {"present", rule->present}, {"ignore", rule->ignore}};
	size_t said = (rule->ratio != NULL) + (rule->one_of.count > 0) + (rule->live_only_in.count > 0);
	(void)key;

	for (size_t i = 0; i < ARRAY_LEN(truths); i++) {
		said += truths[i].said;
		if (node_find(node, truths[i].name) && !truths[i].said) {
			diags_error(decoder->diags, node_key_origin(node, truths[i].name),
				    "`%s` is true or absent", truths[i].name);
			return;
		}
	}
	if (said != 1)
		diags_error(decoder->diags, node->origin, "a rule takes one of %s", forms);
	const char *missing = is_empty(rule->owner) ? "owner" : is_empty(rule->reason) ? "reason" : NULL;
	if (missing && loosens(rule)) {
		diags_error(decoder->diags, node->origin, "a rule that lets something differ needs its `%s`",
			    missing);
		diags_hint(decoder->diags, "who answers for it, and why it is so");
	}
	if (rule->ignore && rule->fact && !rule->fact[strspn(rule->fact, "*?/")])
		diags_error(decoder->diags, node_key_origin(node, "fact"),
			    "`%s` with `ignore` would leave nothing to compare", rule->fact);
}

static const struct key allow_keys[] = {
	KEY_NODE(struct parity_allow_key, node),
	KEY(struct parity_allow_key, fact, STR, .required = true, .max = 4096, .check = check_fact,
	    .text = "key of the facts it is for; `*` and `?` stand for any characters, `/` too",
	    .example = "\"hw/memory/total\""),
	KEY(struct parity_allow_key, same, BOOL, .text = "must be equal everywhere"),
	KEY(struct parity_allow_key, unique, BOOL, .text = "must be different in each environment"),
	KEY(struct parity_allow_key, ratio, TEXT, .max = 32, .check = check_ratio,
	    .text = "numbers: at least this part of what the reference has", .example = "0.25"),
	KEY(struct parity_allow_key, minor, BOOL, .text = "versions: may differ behind the second number"),
	KEY(struct parity_allow_key, major, BOOL, .text = "versions: may differ behind the first number"),
	KEY(struct parity_allow_key, one_of, LIST, .item = &text_item, .item_size = sizeof(char *),
	    .one_is_list = true, .min = 1, .max = 1000, .text = "must be one of these",
	    .example = "[8.3.6, 8.3.7]"),
	KEY(struct parity_allow_key, live_only_in, LIST, .item = &word_item, .item_size = sizeof(char *),
	    .one_is_list = true, .min = 1, .max = 100,
	    .text = "a live credential in these environments only, a test credential in the others",
	    .example = "production"),
	KEY(struct parity_allow_key, present, BOOL, .text = "must be there; its value may differ"),
	KEY(struct parity_allow_key, ignore, BOOL, .text = "may differ or be missing"),
	KEY(struct parity_allow_key, owner, STR, .max = 255, .text = "who answers for it",
	    .more = "Required with `ratio`, `minor`, `major` and `ignore`, as is `reason`.",
	    .example = "ops"),
	KEY(struct parity_allow_key, reason, STR, .max = 1000, .text = "why it is so",
	    .example = "staging is small"),
	KEY(struct parity_allow_key, until, TEXT, .max = 32, .check = check_until,
	    .text = "the last day it holds; then the difference is a finding again, with the rule named",
	    .example = "2027-03-01"),
	KEY(struct parity_allow_key, environments, LIST, .item = &word_item, .item_size = sizeof(char *),
	    .one_is_list = true, .min = 1, .max = 100, .text = "the environments it is for; all when absent",
	    .example = "[staging]"),
	KEY(struct parity_allow_key, severity, ENUM, .words = severities,
	    .text = "of a breach; as the policy has it when absent"),
	KEY_END,
};

static const struct key allow_item =
	KEY_ITEM(OBJECT, .keys = allow_keys, .struct_size = sizeof(struct parity_allow_key),
		 .type_name = "rule", .check = check_allow);

const struct key parity_keys[] = {
	KEY_NODE(struct project_parity, node),
	KEY(struct project_parity, reference, STR, .max = 63,
	    .text = "the environment the others are held against",
	    .more = "When absent, the end of the longest chain of `promote_from`.", .example = "production"),
	KEY_INCLUDE(struct project_parity, looks, looks_keys),
	KEY(struct project_parity, only, LIST, .item = &dimension_item, .item_size = sizeof(char *),
	    .one_is_list = true, .min = 1, .max = 32,
	    .text = "dimensions that are looked at; all when absent", .example = "[env, runtime, db]"),
	KEY(struct project_parity, allow, LIST, .item = &allow_item,
	    .item_size = sizeof(struct parity_allow_key), .one_is_list = true, .max = 2000,
	    .text = "rules on facts: what may differ and how, and what must not",
	    .more = "They stand over the shipped policy, and a later one over an earlier one.",
	    .example = "[{fact: \"hw/memory/total\", ratio: 0.25, owner: ops, reason: staging is small}]"),
	KEY_END,
};

/* ---- require ---- */

static const struct key_word allowed_severities[] = {
	{"none", SEVERITY_NONE, NULL},
	{"low", SEVERITY_LOW, NULL},
	{"medium", SEVERITY_MEDIUM, NULL},
	{"high", SEVERITY_HIGH, NULL},
	{NULL, 0, NULL},
};

static void check_max_age(struct key_decoder *decoder, const struct key *key, const struct node *node,
			  void *base)
{
	(void)key;
	if (((const struct require_parity *)base)->max_age_ms <= 0)
		diags_error(decoder->diags, node->origin, "`max_age` must be more than nothing, such as 1h");
}

static const struct key parity_with_keys[] = {
	KEY_NODE(struct require_parity, node),
	KEY(struct require_parity, environment, STR, .required = true, .max = 63,
	    .text = "the environment this one must be like", .example = "staging"),
	KEY(struct require_parity, severity, ENUM, .words = allowed_severities, .fallback = "low",
	    .text = "the worst finding that is let through; `none`: not even a low one"),
	KEY(struct require_parity, coverage, INT, .min = 0, .max = 100, .fallback = "80",
	    .text = "per cent of what was to be looked at that must have been looked at"),
	KEY_AS("max_age", struct require_parity, max_age_ms, DURATION, .fallback = "1h",
	       .check = check_max_age, .text = "how old the last look may be"),
	KEY_END,
};

const struct key require_keys[] = {
	KEY_NODE(struct environment_require, node),
	KEY(struct environment_require, parity_with, OBJECT, .keys = parity_with_keys,
	    .struct_size = sizeof(struct require_parity), .type_name = "parity_with",
	    .short_key = "environment", .short_text = "a text is the environment",
	    .text = "differences to that environment close the gate", .more = "See `docs/parity.md`.",
	    .example = "staging"),
	KEY_LATER("approval", "arrives with gates"),
	KEY_LATER("window", "arrives with gates"),
	KEY_LATER("freeze", "arrives with gates"),
	KEY_LATER("migrations", "arrives with gates"),
	KEY_LATER("soak", "arrives with gates"),
	KEY_LATER("command", "arrives with gates"),
	KEY_END,
};
