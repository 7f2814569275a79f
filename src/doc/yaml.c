/* From libfyaml's events to our tree: limits, anchors, merging, duplicates. What
 * keys mean is none of its business. */
#include "doc/yaml.h"

#include "base/map.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdlib.h>

struct anchor {
	const struct node *node; /* NULL while it is being read */
	size_t nodes;		 /* what an alias to it costs */
};

struct reader {
	struct arena *arena;
	struct diags *diags;
	const struct yaml_limits *limits;
	const struct doc_file *file;
	struct fy_parser *parser;
	struct fy_diag *fy_diags;
	struct fy_event *event; /* the current one */
	struct map anchors;	/* name → struct anchor */
	size_t nodes;
	struct origin last; /* of the last event that had a place */
	bool failed;	    /* a mistake that need not end the reading */
};

static int read_node(struct reader *reader, size_t depth, struct origin fallback, const struct node **out);

/* ---- events ---- */

/* libfyaml's words for what people get wrong most, in plainer ones. */
static const struct {
	const char *theirs, *ours, *hint;
} plainer[] = {
	{"invalid tab as indendation", "a tab stands where only spaces may indent", "use spaces"},

	{"invalid nested block mapping on the same line", "a second `: ` on one line",
	 "put quotes around a text that holds `: `"},
	{"without closing quote", "a quote is opened here and never closed", NULL},
	{"without a closing bracket", "a `[` is never closed before this point", NULL},
	{"missing comma in flow", "a comma is missing, or a `[` or `{` above is never closed", NULL},
	{"without a closing brace", "a `{` is never closed before this point", NULL},
	{"invalid extra closing brace", "a `}` that closes nothing",
	 "put quotes around a text that begins with a special character"},
	{"invalid extra closing bracket", "a `]` that closes nothing",
	 "put quotes around a text that begins with a special character"},
	{"plain scalar cannot start with", "a text cannot begin with this character without quotes",
	 "put quotes around it"},
	{"invalid escape", "this escape is not known in a text in double quotes",
	 "use single quotes, or write \\\\ for a backslash"},
};

/* A text that goes on in the next line and there becomes a key. Either it lacks
 * its own `:`, or the next line is indented as if it belonged to it. */
static void report_torn_key(struct reader *reader, struct origin origin)
{
	struct slice rest = reader->file->text, line = {0};
	for (uint32_t i = 0; i < origin.line && rest.ptr; i++)
		line = slice_cut(&rest, '\n');
	size_t indent = 0;
	while (indent < line.len && (line.ptr[indent] == ' ' || line.ptr[indent] == '\t'))
		indent++;
	if (origin.column <= indent + 1) {
		diags_error(reader->diags, origin, "a `:` is missing in this line");
		return;
	}
	struct origin next = {reader->file, origin.line, 1};
	do {
		if (!rest.ptr)
			break;
		line = slice_cut(&rest, '\n');
		next.line++;
	} while (!slice_trim(line).len || slice_starts_with(slice_trim(line), "#"));
	bool tab = false;
	for (; next.column <= line.len; next.column++) {
		char c = line.ptr[next.column - 1];
		tab = c == '\t';
		if (tab || c != ' ')
			break;
	}
	if (tab) {
		diags_error(reader->diags, next, "a tab stands where only spaces may indent");
		diags_hint(reader->diags, "use spaces");
		return;
	}
	diags_error(reader->diags, next, "this line is indented as if it belonged to the text above");
	diags_hint(reader->diags, "keys of one map begin in the same column");
}

static void report_syntax_error(struct reader *reader)
{
	void *at = NULL;
	struct fy_diag_error *error = fy_diag_errors_iterate(reader->fy_diags, &at);
	if (!error) {
		diags_error(reader->diags, reader->last, "this is not YAML that can be read");
		return;
	}
	struct origin origin = reader->last;
	if (error->line > 0 && error->column > 0)
		origin = (struct origin){reader->file, (uint32_t)error->line, (uint32_t)error->column};
	if (strstr(error->msg, "invalid multiline plain key")) {
		report_torn_key(reader, origin);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(plainer); i++) {
		if (!strstr(error->msg, plainer[i].theirs))
			continue;
		diags_error(reader->diags, origin, "%s", plainer[i].ours);
		if (plainer[i].hint)
			diags_hint(reader->diags, "%s", plainer[i].hint);
		return;
	}
	diags_error(reader->diags, origin, "not valid YAML: %s", error->msg);
}

static struct origin event_origin(struct reader *reader, struct origin fallback)
{
	const struct fy_mark *mark = fy_event_start_mark(reader->event);
	if (!mark)
		return fallback;
	struct origin origin = {reader->file, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
	/* The mark of a quoted text stands behind the quote. */
	if (reader->event->type == FYET_SCALAR && reader->event->scalar.value && origin.column > 1) {
		enum fy_scalar_style style = fy_token_scalar_style(reader->event->scalar.value);
		if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED)
			origin.column--;
	}
	return origin;
}

/* Makes the next event the current one; -1 after reporting when the text is
 * wrong or ends too early. */
static int next_event(struct reader *reader)
{
	if (reader->event)
		fy_parser_event_free(reader->parser, reader->event);
	reader->event = fy_parser_parse(reader->parser);
	if (!reader->event || fy_parser_get_stream_error(reader->parser)) {
		report_syntax_error(reader);
		return -1;
	}
	reader->last = event_origin(reader, reader->last);
	return 0;
}

static struct slice token_text(struct fy_token *token)
{
	size_t len = 0;
	const char *text = token ? fy_token_get_text(token, &len) : NULL;
	return text ? slice_make(text, len) : SLICE("");
}

/* ---- limits ---- */

static int count_nodes(struct reader *reader, size_t more, struct origin origin)
{
	if (more > reader->limits->nodes - reader->nodes)
		return diags_error(reader->diags, origin,
				   "more than %zu values, counting what aliases stand for",
				   reader->limits->nodes);
	reader->nodes += more;
	return 0;
}

static int check_depth(struct reader *reader, size_t depth, struct origin origin)
{
	if (depth > reader->limits->depth)
		return diags_error(reader->diags, origin, "nested more than %zu deep", reader->limits->depth);
	return 0;
}

/* ---- scalars ---- */

static bool all_of(struct slice s, const char *set)
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr(set, s.ptr[i]) || !s.ptr[i])
			return false;
	return s.len > 0;
}

static bool one_of(struct slice s, const char *const *words)
{
	for (; *words; words++)
		if (slice_is(s, *words))
			return true;
	return false;
}

static struct slice without_sign(struct slice s)
{
	return s.len && (s.ptr[0] == '-' || s.ptr[0] == '+') ? slice_skip(s, 1) : s;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(struct slice s)
{
	s = without_sign(s);
	size_t at = 0, whole = 0, part = 0;
	for (; at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9'; at++)
		whole++;
	if (at < s.len && s.ptr[at] == '.') {
		for (at++; at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9'; at++)
			part++;
	}
	if (!whole && !part)
		return false;
	if (at == s.len)
		return true;
	if (s.ptr[at] != 'e' && s.ptr[at] != 'E')
		return false;
	return all_of(without_sign(slice_skip(s, at + 1)), "0123456789");
}

static bool parse_int(struct slice s, int64_t *out)
{
	int base = 10;
	char digits[32];
	if (slice_starts_with(s, "0x") || slice_starts_with(s, "0o")) {
		base = s.ptr[1] == 'x' ? 16 : 8;
		s = slice_skip(s, 2);
	}
	while (s.len > 1 && s.ptr[0] == '0')
		s = slice_skip(s, 1);
	if (s.len >= sizeof(digits))
		return false;
	memcpy(digits, s.ptr, s.len);
	digits[s.len] = 0;
	errno = 0;
	*out = strtoll(digits, NULL, base);
	return errno == 0;
}

static bool is_int(struct slice s)
{
	if (slice_starts_with(s, "0x"))
		return all_of(slice_skip(s, 2), "0123456789abcdefABCDEF");
	if (slice_starts_with(s, "0o"))
		return all_of(slice_skip(s, 2), "01234567");
	return all_of(without_sign(s), "0123456789");
}

enum node_kind yaml_core_kind(struct slice plain, bool *boolean_out, int64_t *integer_out)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const trues[] = {"true", "True", "TRUE", NULL};
	static const char *const falses[] = {"false", "False", "FALSE", NULL};
	static const char *const specials[] = {".inf", ".Inf", ".INF", NULL};
	static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};

	if (one_of(plain, nulls))
		return NODE_NULL;
	*boolean_out = one_of(plain, trues);
	if (*boolean_out || one_of(plain, falses))
		return NODE_BOOL;
	/* A number too large for us is a number all the same, never a text. */
	if (is_int(plain))
		return parse_int(plain, integer_out) ? NODE_INT : NODE_FLOAT;
	if (is_float(plain) || one_of(without_sign(plain), specials) || one_of(plain, nans))
		return NODE_FLOAT;
	return NODE_STR;
}

static int apply_tag(struct reader *reader, struct node *node, struct fy_token *tag_token)
{
	static const struct {
		const char *name;
		enum node_kind kind;
	} tags[] = {
		{"!", NODE_STR},
		{"tag:yaml.org,2002:str", NODE_STR},
		{"tag:yaml.org,2002:int", NODE_INT},
		{"tag:yaml.org,2002:bool", NODE_BOOL},
		{"tag:yaml.org,2002:null", NODE_NULL},
		{"tag:yaml.org,2002:float", NODE_FLOAT},
		{"tag:yaml.org,2002:map", NODE_MAP},
		{"tag:yaml.org,2002:seq", NODE_LIST},
	};
	struct slice tag = token_text(tag_token);
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		if (!slice_is(tag, tags[i].name))
			continue;
		if (tags[i].kind == node->kind)
			return 0;
		if (tags[i].kind == NODE_STR && node->kind < NODE_STR) {
			node->kind = NODE_STR;
			node->quoted = true;
			return 0;
		}
		if (tags[i].kind == NODE_FLOAT && node->kind == NODE_INT) {
			node->kind = NODE_FLOAT;
			return 0;
		}
		return diags_error(reader->diags, node->origin, "the tag says %s, but this is %s",
				   node_kind_words(tags[i].kind), node_kind_words(node->kind));
	}
	return diags_error(reader->diags, node->origin, "the tag `%.*s` is not known here", SLICE_ARG(tag));
}

static int read_scalar(struct reader *reader, struct origin fallback, struct node *node)
{
	struct fy_token *token = reader->event->scalar.value;
	struct slice text = token_text(token);
	node->origin = event_origin(reader, fallback);
	node->quoted = token && fy_token_scalar_style(token) != FYSS_PLAIN;
	if (slice_find(text, 0) >= 0)
		return diags_error(reader->diags, node->origin, "a text must not hold a NUL character");
	node->text = slice_of(arena_str(reader->arena, text));
	node->kind = node->quoted ? NODE_STR : yaml_core_kind(node->text, &node->boolean, &node->integer);
	return reader->event->scalar.tag ? apply_tag(reader, node, reader->event->scalar.tag) : 0;
}

/* ---- lists ---- */

static int read_list(struct reader *reader, size_t depth, struct node *list)
{
	AUTO(mem_free_ptr) struct node_item *items = NULL;
	size_t cap = 0;
	list->kind = NODE_LIST;
	if (check_depth(reader, depth, list->origin))
		return -1;
	if (reader->event->sequence_start.tag && apply_tag(reader, list, reader->event->sequence_start.tag))
		return -1;
	for (;;) {
		if (next_event(reader))
			return -1;
		if (reader->event->type == FYET_SEQUENCE_END)
			break;
		if (list->count == cap) {
			cap = cap ? cap * 2 : 8;
			items = mem_grow(items, cap, sizeof(*items));
		}
		if (read_node(reader, depth + 1, reader->last, &items[list->count].value))
			return -1;
		list->count++;
	}
	list->items = ARENA_NEW_ARRAY(reader->arena, list->count, struct node_item);
	if (list->count)
		memcpy(list->items, items, list->count * sizeof(*items));
	return 0;
}

/* ---- maps ---- */

struct entries {
	struct node_entry *ptr;
	size_t count, cap, own; /* the first `own` are not merged ones */
};

static void entries_free(struct entries *entries)
{
	free(entries->ptr);
}

static void entries_add(struct entries *entries, struct node_entry entry)
{
	if (entries->count == entries->cap) {
		entries->cap = entries->cap ? entries->cap * 2 : 8;
		entries->ptr = mem_grow(entries->ptr, entries->cap, sizeof(*entries->ptr));
	}
	entries->ptr[entries->count++] = entry;
}

static int compare_positions(const void *a, const void *b, void *context)
{
	const struct node_entry *entries = context;
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	int order = slice_compare(entries[left].key, entries[right].key);
	return order ? order : left < right ? -1 : left > right;
}

/* Sorted by key, and for equal keys in the order they were added. */
static uint32_t *sort_entries(struct arena *arena, const struct entries *entries)
{
	uint32_t *sorted = ARENA_NEW_ARRAY(arena, entries->count, uint32_t);
	for (size_t i = 0; i < entries->count; i++)
		sorted[i] = (uint32_t)i;
	if (entries->count)
		qsort_r(sorted, entries->count, sizeof(*sorted), compare_positions, entries->ptr);
	return sorted;
}

/* Reports keys that the text itself has twice, and lets own keys win over merged
 * ones, and maps merged earlier over later ones. */
static void settle_entries(struct reader *reader, struct entries *entries, struct node *map)
{
	uint32_t *sorted = sort_entries(reader->arena, entries);
	size_t removed = 0;
	for (size_t i = 1, kept = 0; i < entries->count; i++) {
		struct node_entry *first = &entries->ptr[sorted[kept]], *second = &entries->ptr[sorted[i]];
		if (!slice_equal(first->key, second->key)) {
			kept = i;
			continue;
		}
		if (sorted[i] < entries->own) {
			reader->failed = true;
			diags_error(reader->diags, second->origin, "the key `%.*s` stands here twice",
				    SLICE_ARG(second->key));
			diags_hint(reader->diags, "the first one is at line %u", first->origin.line);
		}
		second->key.ptr = NULL;
		removed++;
	}
	if (removed) {
		size_t used = 0;
		for (size_t i = 0; i < entries->count; i++)
			if (entries->ptr[i].key.ptr)
				entries->ptr[used++] = entries->ptr[i];
		entries->count = used;
		sorted = sort_entries(reader->arena, entries);
	}
	map->count = entries->count;
	map->entries = ARENA_NEW_ARRAY(reader->arena, map->count, struct node_entry);
	if (map->count)
		memcpy(map->entries, entries->ptr, map->count * sizeof(*map->entries));
	map->sorted = sorted;
}

static int merge_map(struct reader *reader, const struct node *from, struct origin at,
		     struct entries *entries)
{
	if (from->kind != NODE_MAP)
		return diags_error(reader->diags, at, "`<<` takes a map or a list of maps, not %s",
				   node_kind_words(from->kind));
	if (count_nodes(reader, from->count, at))
		return -1;
	for (size_t i = 0; i < from->count; i++)
		entries_add(entries, from->entries[i]);
	return 0;
}

static int merge(struct reader *reader, const struct node *from, struct origin at, struct entries *entries)
{
	if (from->kind != NODE_LIST)
		return merge_map(reader, from, at, entries);
	for (size_t i = 0; i < from->count; i++)
		if (merge_map(reader, from->items[i].value, at, entries))
			return -1;
	return 0;
}

static int read_key(struct reader *reader, struct node_entry *entry, bool *is_merge)
{
	entry->origin = event_origin(reader, reader->last);
	if (reader->event->type != FYET_SCALAR)
		return diags_error(reader->diags, entry->origin, "a key must be a plain text");
	struct node key = {0};
	if (count_nodes(reader, 1, entry->origin) || read_scalar(reader, entry->origin, &key))
		return -1;
	entry->key = key.text;
	*is_merge = !key.quoted && slice_is(key.text, "<<");
	return 0;
}

static int read_map(struct reader *reader, size_t depth, struct node *map)
{
	AUTO(entries_free) struct entries entries = {0};
	const struct node *merged = NULL;
	struct origin merged_at = {0};
	map->kind = NODE_MAP;
	if (check_depth(reader, depth, map->origin))
		return -1;
	if (reader->event->mapping_start.tag && apply_tag(reader, map, reader->event->mapping_start.tag))
		return -1;
	for (;;) {
		struct node_entry entry = {0};
		bool is_merge = false;
		if (next_event(reader))
			return -1;
		if (reader->event->type == FYET_MAPPING_END)
			break;
		if (read_key(reader, &entry, &is_merge) || next_event(reader) ||
		    read_node(reader, depth + 1, entry.origin, &entry.value))
			return -1;
		if (!is_merge) {
			entries_add(&entries, entry);
		} else if (merged) {
			return diags_error(reader->diags, entry.origin, "the key `<<` stands here twice");
		} else {
			merged = entry.value;
			merged_at = entry.origin;
		}
	}
	entries.own = entries.count;
	if (merged && merge(reader, merged, merged_at, &entries))
		return -1;
	settle_entries(reader, &entries, map);
	return 0;
}

/* ---- any node ---- */

static int read_alias(struct reader *reader, struct origin fallback, const struct node **out)
{
	struct slice name = token_text(reader->event->alias.anchor);
	struct origin origin = event_origin(reader, fallback);
	const struct anchor *anchor = map_get(&reader->anchors, name);
	if (!anchor)
		return diags_error(reader->diags, origin, "no anchor `&%.*s` stands above this",
				   SLICE_ARG(name));
	if (!anchor->node)
		return diags_error(reader->diags, origin, "`*%.*s` stands inside what it refers to",
				   SLICE_ARG(name));
	*out = anchor->node;
	return count_nodes(reader, anchor->nodes, origin);
}

static int read_node(struct reader *reader, size_t depth, struct origin fallback, const struct node **out)
{
	struct fy_event *event = reader->event;
	if (event->type == FYET_ALIAS)
		return read_alias(reader, fallback, out);

	struct node *node = ARENA_NEW(reader->arena, struct node);
	node->origin = event_origin(reader, fallback);
	size_t before = reader->nodes;
	if (count_nodes(reader, 1, node->origin))
		return -1;

	struct fy_token *anchor_token = event->type == FYET_SCALAR	     ? event->scalar.anchor
					: event->type == FYET_SEQUENCE_START ? event->sequence_start.anchor
									     : event->mapping_start.anchor;
	struct anchor *anchor = NULL;
	if (anchor_token) {
		anchor = ARENA_NEW(reader->arena, struct anchor);
		map_put(&reader->anchors, arena_slice(reader->arena, token_text(anchor_token)), anchor);
	}

	int status = event->type == FYET_SCALAR		  ? read_scalar(reader, fallback, node)
		     : event->type == FYET_SEQUENCE_START ? read_list(reader, depth, node)
							  : read_map(reader, depth, node);
	if (status)
		return -1;
	if (anchor) {
		anchor->node = node;
		anchor->nodes = reader->nodes - before;
	}
	*out = node;
	return 0;
}

/* ---- the document ---- */

static int read_stream(struct reader *reader, const struct node **out)
{
	struct node *nothing = ARENA_NEW(reader->arena, struct node);
	*nothing = (struct node){.kind = NODE_NULL, .origin = {reader->file, 1, 1}, .text = SLICE("")};
	*out = nothing;

	if (next_event(reader) || next_event(reader)) /* the stream's start, and what follows */
		return -1;
	if (reader->event->type == FYET_STREAM_END)
		return 0;
	if (next_event(reader) || read_node(reader, 1, nothing->origin, out) || next_event(reader))
		return -1;
	if (next_event(reader)) /* behind the document's end */
		return -1;
	if (reader->event->type != FYET_STREAM_END) {
		diags_error(reader->diags, event_origin(reader, reader->last),
			    "a second document begins here");
		diags_hint(reader->diags, "one file holds one document: take away the `---`");
		return -1;
	}
	return 0;
}

static struct origin position_of(const struct doc_file *file, size_t offset)
{
	struct origin origin = {file, 1, 1};
	for (size_t i = 0; i < offset; i++) {
		if (file->text.ptr[i] == '\n') {
			origin.line++;
			origin.column = 1;
		} else if (((unsigned char)file->text.ptr[i] & 0xc0) != 0x80) {
			origin.column++;
		}
	}
	return origin;
}

/* libfyaml would read around such bytes without a word. */
static int check_bytes(const struct doc_file *file, struct diags *diags)
{
	struct slice text = file->text;
	ptrdiff_t nul = slice_find(text, 0);
	if (nul >= 0)
		return diags_error(diags, position_of(file, (size_t)nul), "a NUL byte: this is not a text");
	if (slice_is_utf8(text))
		return 0;
	/* The longest prefix of whole lines that is right tells the line. */
	size_t good = 0;
	for (struct slice rest = text; rest.ptr;) {
		struct slice line = slice_cut(&rest, '\n');
		if (!slice_is_utf8(line))
			break;
		good += line.len + 1;
	}
	while (good < text.len && (unsigned char)text.ptr[good] < 0x80)
		good++;
	diags_error(diags, position_of(file, MIN(good, text.len)), "bytes that are not UTF-8");
	diags_hint(diags, "save the file as UTF-8");
	return -1;
}

int yaml_parse(struct arena *arena, const char *file_name, struct slice text,
	       const struct yaml_limits *limits, const struct node **node_out, struct diags *diags)
{
	return yaml_parse_named(arena, file_name, (struct origin){0}, text, limits, node_out, diags);
}

int yaml_parse_named(struct arena *arena, const char *file_name, struct origin named_at, struct slice text,
		     const struct yaml_limits *limits, const struct node **node_out, struct diags *diags)
{
	struct doc_file *file = ARENA_NEW(arena, struct doc_file);
	*node_out = NULL;
	file->name = arena_strdup(arena, file_name);
	file->named_at = named_at;
	if (text.len > limits->bytes)
		return diags_error(diags, (struct origin){file, 0, 0}, "larger than %zu bytes",
				   limits->bytes);
	file->text = slice_of(arena_str(arena, text));
	file->text.len = text.len; /* a NUL inside is found below */
	if (check_bytes(file, diags))
		return -1;

	struct fy_diag_cfg diag_config;
	fy_diag_cfg_default(&diag_config);
	diag_config.fp = NULL;
	diag_config.colorize = false;
	diag_config.level = FYET_ERROR;
	struct reader reader = {.arena = arena,
				.diags = diags,
				.limits = limits,
				.file = file,
				.fy_diags = fy_diag_create(&diag_config),
				.last = {file, 1, 1}};
	ASSERT(reader.fy_diags);
	fy_diag_set_collect_errors(reader.fy_diags, true);
	struct fy_parse_cfg config = {
		.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE | FYPCF_DEFAULT_VERSION_1_2,
		.diag = reader.fy_diags,
	};
	reader.parser = fy_parser_create(&config);
	ASSERT(reader.parser);

	int status = -1;
	if (fy_parser_set_string(reader.parser, file->text.ptr, file->text.len))
		diags_error(diags, reader.last, "this text cannot be read");
	else
		status = read_stream(&reader, node_out);
	if (reader.event)
		fy_parser_event_free(reader.parser, reader.event);
	fy_parser_destroy(reader.parser);
	fy_diag_destroy(reader.fy_diags);
	map_free(&reader.anchors);
	if (status)
		*node_out = NULL;
	return status || reader.failed ? -1 : 0;
}
