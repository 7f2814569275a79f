/* See parity_view.h. */
#include "cli/parity_view.h"

#include "base/clock.h"
#include "cli/text.h"
#include "fact/finding.h"

#include <stdlib.h>

/* --- what kind of finding ------------------------------------------------------------- */

static const struct {
	const char *kind;
	enum parity_class class;
	const char *words;
} kinds[] = {
	{"drift", PARITY_DIFFERENCE, ""},	 {"within", PARITY_DIFFERENCE, "within"},
	{"hand_change", PARITY_HAND, "by hand"}, {"not_deployed", PARITY_UNDEPLOYED, "not deployed"},
	{"lapsed", PARITY_RULE, "rule lapsed"},	 {"unneeded", PARITY_RULE, "rule not needed"},
};

static size_t kind_index(const json_t *finding)
{
	const char *kind = str(finding, "kind");

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return i;
	return 0;
}

enum parity_class parity_class_of(const json_t *finding)
{
	return kinds[kind_index(finding)].class;
}

const char *parity_class_title(enum parity_class class)
{
	static const char *const titles[] = {
		[0] = "",
		[PARITY_HAND] = "Changed on a server, not by a deployment",
		[PARITY_DIFFERENCE] = "Differs",
		[PARITY_UNDEPLOYED] = "In the code, not deployed yet",
		[PARITY_RULE] = "Rules",
	};
	return titles[class];
}

static const char *first_environment(const json_t *finding)
{
	return str(json_array_get(json_object_get(finding, "cells"), 0), "environment");
}

static const char *label_of(const struct parity_view *view, const char *environment)
{
	for (size_t i = 0; i < view->environment_count; i++)
		if (strcmp(view->environments[i], environment) == 0)
			return view->labels[i];
	return environment;
}

const char *parity_kind_words(const struct parity_view *view, const json_t *finding)
{
	const char *words = kinds[kind_index(finding)].words;

	if (strcmp(words, "within") == 0)
		return arena_printf(view->arena, "within %s", label_of(view, first_environment(finding)));
	return words;
}

int parity_severity_rank(const char *severity)
{
	static const char *const names[] = {"low", "medium", "high", "critical"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], severity) == 0)
			return (int)i + 1;
	return 0;
}

/* --- names ------------------------------------------------------------------------------- */

static const char *with_attribute(struct arena *arena, struct slice name, struct slice attribute,
				  const char *const *silent)
{
	for (; attribute.len && *silent; silent++)
		if (slice_is(attribute, *silent))
			return arena_str(arena, name);
	return attribute.len ? arena_printf(arena, "%.*s %.*s", SLICE_ARG(name), SLICE_ARG(attribute))
			     : arena_str(arena, name);
}

/* db/main/table/users/column/email/type: "users.email" */
static const char *database_name(struct arena *arena, struct slice subject, struct slice attribute)
{
	AUTO(buf_free) struct buf name = BUF_INIT(64 << 10);
	struct slice part = slice_cut(&subject, '/');
	bool dotted = false;

	if (!slice_is(part, "main"))
		buf_put_slice(&name, part);
	while (subject.ptr) {
		part = slice_cut(&subject, '/');
		bool is_table = slice_is(part, "table"), is_column = slice_is(part, "column");
		if ((is_table || is_column) && subject.ptr) {
			dotted = is_column;
			continue;
		}
		if (name.len)
			buf_putc(&name, dotted ? '.' : ' ');
		buf_put_slice(&name, part);
		dotted = false;
	}
	static const char *const silent[] = {"type", "definition", "value", "version", NULL};
	return with_attribute(arena, buf_slice(&name), attribute, silent);
}

static const char *runtime_name(struct arena *arena, struct slice subject, struct slice attribute,
				const char **area_out)
{
	AUTO(buf_free) struct buf name = BUF_INIT(64 << 10);

	*area_out = arena_str(arena, slice_cut(&subject, '/'));
	while (subject.ptr) {
		buf_put_slice(&name, slice_cut(&subject, '/'));
		buf_putc(&name, '-');
	}
	buf_put_slice(&name, attribute);
	return arena_str(arena, buf_slice(&name));
}

static const char *name_of(struct arena *arena, struct slice dimension, struct slice subject,
			   struct slice attribute, const char **area_out)
{
	static const char *const silent[] = {"value", "content", "digest", "version", NULL};

	if (slice_is(dimension, "file") && slice_is(subject, "."))
		subject = SLICE("release");
	*area_out = arena_str(arena, dimension);
	if (slice_is(dimension, "runtime") && subject.len)
		return runtime_name(arena, subject, attribute, area_out);
	if (slice_is(dimension, "db") && subject.len)
		return database_name(arena, subject, attribute);
	return with_attribute(arena, subject, attribute, silent);
}

const char *parity_name(const struct parity_view *view, const json_t *finding, const char **area_out)
{
	return name_of(view->arena, slice_of(str(finding, "dimension")), slice_of(str(finding, "subject")),
		       slice_of(str(finding, "attribute")), area_out);
}

const char *parity_key_name(const struct parity_view *view, const char *key, const char **area_out)
{
	struct slice subject = slice_of(key), attribute = {"", 0};
	struct slice dimension = slice_cut(&subject, '/');

	if (!subject.ptr)
		subject = attribute;
	for (size_t i = subject.len; i > 0; i--)
		if (subject.ptr[i - 1] == '/') {
			attribute = slice_skip(subject, i);
			subject.len = i - 1;
			break;
		}
	return name_of(view->arena, dimension, subject, attribute, area_out);
}

const char *parity_host(struct arena *arena, const char *text)
{
	struct slice whole = slice_of(text);

	if (slice_starts_with(whole, "ssh://"))
		whole = slice_skip(whole, 6);
	else if (strstr(text, "://") || slice_starts_with(whole, "release:"))
		return text;
	if (slice_find(whole, '[') >= 0)
		return text;
	struct slice rest = whole, head = slice_cut(&rest, '/');
	rest = head;
	head = slice_cut(&rest, ':');
	ptrdiff_t at = slice_find(head, '@');
	if (at >= 0)
		head = slice_skip(head, (size_t)at + 1);
	return head.len && head.len < strlen(text) && strcmp(text, ".") != 0 && *text != '/'
		       ? arena_str(arena, head)
		       : text;
}

static void shorten(struct arena *arena, const char **names, size_t count, const char **labels)
{
	for (size_t i = 0; i < count; i++)
		labels[i] = strpbrk(names[i], "@:") ? parity_host(arena, names[i]) : names[i];
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(labels[i], labels[j]) == 0 && strcmp(names[i], names[j]) != 0) {
				memcpy(labels, names, count * sizeof(*names));
				return;
			}
}

const char *parity_server(const struct parity_view *view, const json_t *finding, const char *server)
{
	const char *host = parity_host(view->arena, server);
	size_t index;
	json_t *cell;

	json_array_foreach(json_object_get(finding, "cells"), index, cell)
	{
		const char *other = str(cell, "server");
		if (*other && strcmp(other, server) != 0 &&
		    strcmp(parity_host(view->arena, other), host) == 0)
			return server;
	}
	return host;
}

/* --- cells -------------------------------------------------------------------------------- */

static int state_rank(const char *state)
{
	static const char *const names[] = {"same", "allowed", "not_checked", "stale", "missing", "drift"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], state) == 0)
			return (int)i + 1;
	return 0;
}

const char *parity_cell(const struct parity_view *view, const json_t *finding, size_t environment,
			const char **state_out)
{
	const char *text = NULL, *state = "";
	size_t index;
	json_t *cell;

	json_array_foreach(json_object_get(finding, "cells"), index, cell)
	{
		if (strcmp(str(cell, "environment"), view->environments[environment]) != 0)
			continue;
		text = !text || strcmp(text, str(cell, "text")) == 0 ? str(cell, "text") : "differs";
		if (state_rank(str(cell, "state")) > state_rank(state))
			state = str(cell, "state");
	}
	*state_out = state;
	return text;
}

bool parity_names_servers(const json_t *finding)
{
	size_t index;
	json_t *cell;

	json_array_foreach(json_object_get(finding, "cells"), index,
			   cell) if (*str(cell, "server")) return true;
	return false;
}

/* --- what was not checked ---------------------------------------------------------------- */

/* What helps against a reason, by words of it; the operations' own advice comes first. */
static const char *gap_advice(const json_t *gap)
{
	static const struct {
		const char *word, *advice;
	} rows[] = {
		{"needs root",
		 "only root may read it: give the deploy user that right on the server, or leave it out "
		 "with an allowed difference of the kind ignore"},
		{"ermission denied",
		 "the deploy user may not read it: give it that right on the server, or look as "
		 "another user"},
		{"noexec", "let TMPDIR on the server be a folder where programs may run"},
		{"time limit", "look again when the server is less busy"},
		{"timed out", "look again; `lockstep server check` says whether the server answers"},
		{"too long", "look again when the server is less busy"},
		{"onnect", "`lockstep server check` says what stands in the way"},
		{"unreachable", "`lockstep server check` says what stands in the way"},
		{"resolve", "check the name, here and on the server"},
		{"not installed", "install it on the server, or leave that dimension out with --only"},
		{"no address", "name the database in lockstep.yml, or in the environment's variables"},
	};
	const char *own = str(gap, "advice"), *why = str(gap, "why");

	if (*own)
		return own;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strstr(why, rows[i].word))
			return rows[i].advice;
	return "";
}

static int by_rows(const void *a, const void *b)
{
	const struct parity_gap_group *x = a, *y = b;

	if (x->rows != y->rows)
		return x->rows > y->rows ? -1 : 1;
	return strcmp(x->why, y->why);
}

static int by_why(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	int order = strcmp(str(*x, "why"), str(*y, "why"));

	if (!order)
		order = strcmp(str(*x, "key"), str(*y, "key"));
	if (!order)
		order = strcmp(str(*x, "environment"), str(*y, "environment"));
	return order ? order : strcmp(str(*x, "server"), str(*y, "server"));
}

static void group_gaps(struct parity_view *view)
{
	const json_t *list = json_object_get(view->result, "not_checked");
	size_t count = json_array_size(list), index;
	json_t *gap;

	if (!count)
		return;
	const json_t **sorted = ARENA_NEW_ARRAY(view->arena, count, const json_t *);
	json_array_foreach(list, index, gap) sorted[index] = gap;
	qsort(sorted, count, sizeof(*sorted), by_why);
	view->gap_groups = ARENA_NEW_ARRAY(view->arena, count, struct parity_gap_group);
	for (size_t i = 0; i < count; i++) {
		struct parity_gap_group *group =
			view->gap_group_count ? &view->gap_groups[view->gap_group_count - 1] : NULL;
		if (!group || strcmp(group->why, str(sorted[i], "why")) != 0) {
			group = &view->gap_groups[view->gap_group_count++];
			*group = (struct parity_gap_group){.why = str(sorted[i], "why"),
							   .advice = gap_advice(sorted[i]),
							   .gaps = &sorted[i]};
		}
		group->count++;
		group->rows += MAX(num(sorted[i], "rows"), (int64_t)0);
	}
	qsort(view->gap_groups, view->gap_group_count, sizeof(*view->gap_groups), by_rows);
}

const char *parity_server_trouble(const struct parity_view *view, const json_t *environment,
				  const json_t *server, int64_t now_ms)
{
	AUTO(buf_free) struct buf text = BUF_INIT(64 << 10);
	bool reachable = flag(server, "reachable"), stale = flag(server, "stale");

	if (reachable && !stale)
		return NULL;
	if (strcmp(str(environment, "name"), str(server, "server")) != 0)
		buf_printf(&text, "%s: ", str(environment, "name"));
	buf_printf(&text, "%s %s", str(server, "server"),
		   reachable ? "was not looked at now" : "could not be looked at");
	if (*str(server, "why"))
		buf_printf(&text, ": %s", str(server, "why"));
	if (stale && num(server, "taken")) {
		buf_puts(&text, "; shown as it was ");
		clock_put_age(&text, num(server, "taken"), now_ms);
	}
	return arena_str(view->arena, buf_slice(&text));
}

static int by_text(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

static void gather_new(struct parity_view *view)
{
	const json_t *appeared = json_object_get(view->result, "appeared");
	size_t index;
	json_t *id;

	view->new_ids = ARENA_NEW_ARRAY(view->arena, json_array_size(appeared), const char *);
	json_array_foreach(appeared, index, id) if (json_is_string(id)) view->new_ids[view->new_count++] =
		json_string_value(id);
	qsort(view->new_ids, view->new_count, sizeof(*view->new_ids), by_text);
}

/* --- all of it ----------------------------------------------------------------------------- */

static void add_environment(struct parity_view *view, size_t cap, const char *name)
{
	for (size_t i = 0; i < view->environment_count; i++)
		if (strcmp(view->environments[i], name) == 0)
			return;
	if (view->environment_count < cap)
		view->environments[view->environment_count++] = name;
}

void parity_view_open(struct arena *arena, const json_t *result, struct parity_view *out)
{
	enum { FURTHER_MAX = 16 };
	const json_t *environments = json_object_get(result, "environments");
	size_t cap = json_array_size(environments) + FURTHER_MAX, index, c;
	json_t *item, *cell;

	*out = (struct parity_view){
		.arena = arena, .result = result, .findings = json_object_get(result, "findings")};
	out->environments = ARENA_NEW_ARRAY(arena, cap, const char *);
	out->labels = ARENA_NEW_ARRAY(arena, cap, const char *);
	out->server_counts = ARENA_NEW_ARRAY(arena, cap, size_t);
	/* Three sides of one environment read best in the order things happen. */
	if (strcmp(str(result, "kind"), "drift") == 0)
		json_array_foreach(out->findings, index, item)
			json_array_foreach(json_object_get(item, "cells"), c, cell)
				if (strcmp(str(cell, "environment"), "declared") == 0)
					add_environment(out, cap, "declared");
	if (strcmp(str(result, "kind"), "drift") == 0)
		json_array_foreach(out->findings, index, item)
			json_array_foreach(json_object_get(item, "cells"), c, cell)
				if (strcmp(str(cell, "environment"), "deployed") == 0)
					add_environment(out, cap, "deployed");
	json_array_foreach(environments, index, item)
	{
		add_environment(out, cap, str(item, "name"));
		if (out->environment_count)
			out->server_counts[out->environment_count - 1] =
				json_array_size(json_object_get(item, "servers"));
	}
	json_array_foreach(out->findings, index, item)
	{
		enum parity_class class = parity_class_of(item);
		out->class_count[class]++;
		out->differences += class != PARITY_RULE;
		json_array_foreach(json_object_get(item, "cells"), c, cell)
			add_environment(out, cap, str(cell, "environment"));
	}
	shorten(arena, out->environments, out->environment_count, out->labels);
	while (out->reference < out->environment_count &&
	       strcmp(out->environments[out->reference], str(result, "reference")) != 0)
		out->reference++;
	group_gaps(out);
	gather_new(out);
}

/* Environments of which at least one server was seen, now or earlier. */
static size_t seen_count(const struct parity_view *view)
{
	size_t index, s, count = 0;
	json_t *environment, *server;

	/* Of drift one environment is held against what was deployed to it. */
	if (strcmp(str(view->result, "kind"), "drift") == 0)
		count = 1;
	json_array_foreach(json_object_get(view->result, "environments"), index, environment)
	{
		bool seen = false;
		json_array_foreach(json_object_get(environment, "servers"), s, server)
			seen = seen || flag(server, "reachable") || flag(server, "stale");
		count += seen;
	}
	return count;
}

static void put_plural(struct buf *out, int64_t count, const char *one, const char *many)
{
	text_put_count(out, count);
	buf_printf(out, " %s", count == 1 ? one : many);
}

void parity_put_totals(const struct parity_view *view, struct buf *out)
{
	const json_t *totals = json_object_get(view->result, "totals");
	int64_t not_checked = num(totals, "not_checked"),
		broken = num(totals, "drift") + num(totals, "missing");

	if (view->differences == 0 && (num(totals, "rows") == 0 || seen_count(view) < 2)) {
		buf_puts(out, "nothing could be compared");
	} else if (view->differences == 0) {
		buf_puts(out, "no differences in ");
		put_plural(out, MAX(num(totals, "facts"), num(totals, "rows")), "fact", "facts");
		if (num(totals, "allowed")) {
			buf_puts(out, ", ");
			text_put_count(out, num(totals, "allowed"));
			buf_puts(out, " allowed");
		}
	} else {
		put_plural(out, (int64_t)view->differences, "difference", "differences");
		if (view->differences >= FINDINGS_MAX && broken > (int64_t)view->differences) {
			buf_puts(out, " shown of ");
			text_put_count(out, broken);
		}
		buf_puts(out, ", ");
		text_put_count(out, num(totals, "same"));
		buf_puts(out, " same");
		if (num(totals, "allowed")) {
			buf_puts(out, ", ");
			text_put_count(out, num(totals, "allowed"));
			buf_puts(out, " allowed");
		}
	}
	if (view->class_count[PARITY_RULE]) {
		buf_puts(out, ", ");
		put_plural(out, (int64_t)view->class_count[PARITY_RULE], "rule to look at",
			   "rules to look at");
	}
	if (num(totals, "stale")) {
		buf_puts(out, ", ");
		text_put_count(out, num(totals, "stale"));
		buf_puts(out, " stale");
	}
	buf_puts(out, view->differences == 0 ? "; " : ", ");
	text_put_count(out, not_checked);
	buf_puts(out, " not checked");
}

bool parity_is_new(const struct parity_view *view, const json_t *finding)
{
	const char *id = str(finding, "id");

	return view->new_count && bsearch(&id, view->new_ids, view->new_count, sizeof(id), by_text);
}
