/* Reads and prints sealed files, and opens what stands in them. Keys are given; where
 * they come from is seal/key_file.h. */
#include "secret/sealed_file.h"

#include "base/clock.h"
#include "base/map.h"

#include <stdlib.h>

#define FIRST_LINE "lockstep-sealed 1"

bool sealed_name_valid(struct slice name)
{
	if (name.len == 0 || name.len > SEALED_NAME_MAX || (name.ptr[0] >= '0' && name.ptr[0] <= '9'))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
			return false;
	}
	return true;
}

/* ---- reading ---- */

struct reader {
	struct arena *arena;
	struct diags *diags;
	const struct doc_file *name; /* without its text: somebody may have pasted a value */
	struct slice rest;
	uint32_t line;
	struct buf above; /* comment lines gathered for the next line that is none */
	struct sealed_file *out;
	struct map names; /* → line */
};

static struct origin at_column(const struct reader *reader, size_t column)
{
	return (struct origin){reader->name, reader->line, (uint32_t)column};
}

/* The next line that is neither empty nor a comment. */
static bool next_line(struct reader *reader, struct slice *out)
{
	while (reader->rest.ptr && (reader->rest.len || reader->line == 0)) {
		struct slice line = slice_cut(&reader->rest, '\n');
		reader->line++;
		if (slice_ends_with(line, "\r"))
			line.len--;
		*out = slice_trim(line);
		if (out->len && out->ptr[0] != '#')
			return true;
		if (out->len) {
			buf_put_slice(&reader->above, *out);
			buf_putc(&reader->above, '\n');
		}
	}
	return false;
}

static struct slice take_above(struct reader *reader)
{
	struct slice above = arena_slice(reader->arena, buf_slice(&reader->above));

	buf_clear(&reader->above);
	return above;
}

static struct slice cut_word(struct slice *rest)
{
	size_t len = 0;

	while (len < rest->len && rest->ptr[len] != ' ' && rest->ptr[len] != '\t')
		len++;
	struct slice word = slice_make(rest->ptr, len);
	*rest = slice_trim(slice_skip(*rest, len));
	return word;
}

static int read_heading(struct reader *reader)
{
	static const char *const keys[] = {"project", "environment", "key"};
	const char **members[] = {&reader->out->project, &reader->out->environment, &reader->out->key_id};
	struct slice line;

	if (!next_line(reader, &line) || !slice_is(line, FIRST_LINE)) {
		reader->line = MAX(reader->line, 1u);
		diags_error(reader->diags, at_column(reader, 1), "not a sealed file: the first line is \"" FIRST_LINE "\"");
		if (slice_starts_with(line, "lockstep-sealed"))
			diags_hint(reader->diags, "a newer lockstep wrote it");
		return -1;
	}
	reader->out->above = take_above(reader);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (!next_line(reader, &line) || !slice_is(cut_word(&line), keys[i]) || line.len == 0 || line.len > 64)
			return diags_error(reader->diags, at_column(reader, 1), "the line \"%s …\" has to stand here", keys[i]);
		*members[i] = arena_str(reader->arena, line);
	}
	if (strlen(reader->out->key_id) != SEAL_ID_LEN ||
	    strspn(reader->out->key_id, "0123456789abcdef") != SEAL_ID_LEN)
		return diags_error(reader->diags, at_column(reader, 5), "the id of a key has %d digits (0-9, a-f)", SEAL_ID_LEN);
	return 0;
}

static bool is_conflict(struct slice line)
{
	return slice_starts_with(line, "<<<<<<<") || slice_starts_with(line, "=======") ||
	       slice_starts_with(line, ">>>>>>>") || slice_starts_with(line, "|||||||");
}

static bool is_base64(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return text.len > 0;
}

static void add_item(struct arena *arena, struct sealed_file *file, struct sealed_value item)
{
	if (file->count == file->cap) {
		file->cap = MAX(file->cap * 2, (size_t)16);
		struct sealed_value *items = ARENA_NEW_ARRAY(arena, file->cap, struct sealed_value);
		if (file->count)
			memcpy(items, file->items, file->count * sizeof(*items));
		file->items = items;
	}
	file->items[file->count++] = item;
}

static int read_value(struct reader *reader, struct slice line)
{
	struct slice start = line, name = cut_word(&line), version = cut_word(&line), date = cut_word(&line);
	struct sealed_value item = {.line = reader->line, .sealed = line};

	if (is_conflict(start)) {
		diags_error(reader->diags, at_column(reader, 1), "a merge conflict that nobody resolved");
		diags_hint(reader->diags, "keep one of the lines as it is, with its version, and remove the markers; or keep "
					  "either and set the value again");
		return -1;
	}
	if (!sealed_name_valid(name)) {
		diags_error(reader->diags, at_column(reader, 1), "not of the form NAME VERSION DATE SEALED");
		diags_hint(reader->diags, "values are put in by `lockstep secret set`, not by hand");
		return -1;
	}
	item.name = arena_str(reader->arena, name);
	if (!slice_to_u64(version, &item.version) || item.version == 0 || item.version > INT64_MAX)
		return diags_error(reader->diags, at_column(reader, 1), "%s has no version: a number from 1 on", item.name);
	if (!clock_parse_iso(date, &item.changed_ms))
		return diags_error(reader->diags, at_column(reader, 1), "%s has no date of the form 2026-11-23T03:21:26Z",
				   item.name);
	if (!is_base64(line) || line.len > SEALED_MAX)
		return diags_error(reader->diags, at_column(reader, 1), "%s has no sealed value", item.name);
	uint32_t earlier = (uint32_t)(uintptr_t)map_get(&reader->names, name);
	if (earlier) {
		diags_error(reader->diags, at_column(reader, 1), "%s stands in line %u already", item.name, earlier);
		diags_hint(reader->diags, "keep the line that is right as it is, and remove the other");
		return -1;
	}
	if (reader->out->count == SEALED_VALUES_MAX) {
		reader->rest = (struct slice){NULL, 0};
		return diags_error(reader->diags, at_column(reader, 1), "more than %d values", SEALED_VALUES_MAX);
	}
	item.sealed = arena_slice(reader->arena, line);
	item.above = take_above(reader);
	map_put(&reader->names, slice_of(item.name), (void *)(uintptr_t)reader->line);
	add_item(reader->arena, reader->out, item);
	return 0;
}

int sealed_file_parse(struct arena *arena, const char *file_name, struct slice text, struct sealed_file *out,
		      struct diags *diags)
{
	struct doc_file *name = ARENA_NEW(arena, struct doc_file);
	struct reader reader = {.arena = arena, .diags = diags, .name = name, .rest = text, .out = out,
				.above = BUF_INIT(SEALED_FILE_MAX)};
	size_t errors = diags->errors;
	struct slice line;

	name->name = arena_strdup(arena, file_name);
	*out = (struct sealed_file){0};
	if (slice_starts_with(reader.rest, "\xef\xbb\xbf"))
		reader.rest = slice_skip(reader.rest, 3);
	if (text.len > SEALED_FILE_MAX)
		diags_error(diags, (struct origin){name, 0, 0}, "larger than %d bytes", SEALED_FILE_MAX);
	else if (slice_find(text, '\0') >= 0 || !slice_is_utf8(text))
		diags_error(diags, (struct origin){name, 0, 0}, "not a text file");
	else if (read_heading(&reader) == 0)
		while (next_line(&reader, &line))
			(void)!read_value(&reader, line);
	out->below = take_above(&reader);
	buf_free(&reader.above);
	map_free(&reader.names);
	return diags->errors > errors ? -1 : 0;
}

/* ---- writing ---- */

void sealed_file_init(struct arena *arena, const char *project, const char *environment, const char *key_id,
		      struct sealed_file *out)
{
	*out = (struct sealed_file){
		.project = arena_strdup(arena, project),
		.environment = arena_strdup(arena, environment),
		.key_id = arena_strdup(arena, key_id),
		.above = slice_of(arena_printf(arena,
					       "# The sealed values of %s/%s. Names, versions and dates are in clear.\n"
					       "# Change one: lockstep secret set %s NAME   See them all: lockstep secret edit %s\n",
					       project, environment, environment, environment)),
	};
}

static int compare_values(const void *a, const void *b)
{
	return strcmp(((const struct sealed_value *)a)->name, ((const struct sealed_value *)b)->name);
}

void sealed_file_print(struct sealed_file *file, struct buf *out)
{
	char date[CLOCK_ISO_LEN + 1];

	if (file->count)
		qsort(file->items, file->count, sizeof(*file->items), compare_values);
	buf_put_slice(out, file->above);
	buf_printf(out, FIRST_LINE "\nproject %s\nenvironment %s\nkey %s\n", file->project, file->environment,
		   file->key_id);
	for (size_t i = 0; i < file->count; i++) {
		const struct sealed_value *item = &file->items[i];
		clock_format_iso(item->changed_ms, date);
		buf_putc(out, '\n');
		buf_put_slice(out, item->above);
		buf_printf(out, "%s %llu %s ", item->name, (unsigned long long)item->version, date);
		buf_put_slice(out, item->sealed);
		buf_putc(out, '\n');
	}
	if (file->below.len) {
		buf_putc(out, '\n');
		buf_put_slice(out, file->below);
	}
}

static size_t index_of(const struct sealed_file *file, struct slice name)
{
	size_t at = 0;

	while (at < file->count && !slice_is(name, file->items[at].name))
		at++;
	return at;
}

const struct sealed_value *sealed_file_find(const struct sealed_file *file, struct slice name)
{
	size_t at = index_of(file, name);
	return at < file->count ? &file->items[at] : NULL;
}

static struct seal_context context_of(const struct sealed_file *file, const struct sealed_value *item)
{
	return (struct seal_context){file->project, file->environment, item->name, item->version};
}

static void seal_item(struct arena *arena, const struct sealed_file *file, const struct seal_key *key,
		      struct slice value, struct sealed_value *item)
{
	AUTO(buf_free) struct buf sealed = BUF_INIT(SEALED_MAX + 1);
	const struct seal_context context = context_of(file, item);

	seal_value(key, &context, value, &sealed);
	ASSERT(!sealed.overflow);
	item->sealed = arena_slice(arena, buf_slice(&sealed));
}

int sealed_file_put(struct arena *arena, struct sealed_file *file, const struct seal_key *key, const char *name,
		    struct slice value, int64_t now_ms, struct err *err)
{
	size_t at = index_of(file, slice_of(name));

	ASSERT(strcmp(key->id, file->key_id) == 0);
	if (!sealed_name_valid(slice_of(name)))
		return err_set(err, ERR_USER, "that cannot be the name of a variable: letters, digits and `_`, no digit first");
	if (value.len > SECRET_MAX)
		return err_set(err, ERR_USER, "the value of %s is larger than %d bytes", name, SECRET_MAX);
	if (at == file->count) {
		if (file->count == SEALED_VALUES_MAX)
			return err_set(err, ERR_USER, "more than %d values", SEALED_VALUES_MAX);
		add_item(arena, file, (struct sealed_value){.name = arena_strdup(arena, name)});
	}
	struct sealed_value *item = &file->items[at];
	if (item->version >= INT64_MAX)
		return err_set(err, ERR_USER, "%s: no version comes after %llu", name,
			       (unsigned long long)item->version);
	item->version++;
	item->changed_ms = now_ms;
	seal_item(arena, file, key, value, item);
	return 0;
}

bool sealed_file_remove(struct sealed_file *file, struct slice name)
{
	size_t at = index_of(file, name);

	if (at == file->count)
		return false;
	memmove(&file->items[at], &file->items[at + 1], (file->count - at - 1) * sizeof(*file->items));
	file->count--;
	return true;
}

/* ---- opening ---- */

enum { TOLD_MAX = 5, VERSIONS_TRIED = 64 };

static bool opens_as(const struct seal_key *key, const struct sealed_file *file, const char *name, uint64_t version,
		     struct slice sealed)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	struct seal_context context = {file->project, file->environment, name, version};
	struct err ignored = ERR_INIT;
	struct secret opened;

	return seal_open(key, &context, sealed, safe, &opened, &ignored) == 0;
}

/* What was done to a value that does not open, as far as that can be found out. */
static void put_cause(struct buf *out, const struct sealed_file *file, const struct sealed_value *item,
		      const struct seal_key *key)
{
	uint64_t low = item->version > VERSIONS_TRIED ? item->version - VERSIONS_TRIED : 1;

	for (uint64_t version = low; version <= item->version + VERSIONS_TRIED; version++)
		if (version != item->version && opens_as(key, file, item->name, version, item->sealed)) {
			buf_printf(out, "it was sealed as version %llu: the number in this line was changed, or the value is that "
					"of another commit", (unsigned long long)version);
			return;
		}
	for (size_t i = 0; i < file->count; i++) {
		const struct sealed_value *other = &file->items[i];
		if (other != item && opens_as(key, file, other->name, other->version, item->sealed)) {
			buf_printf(out, "it was sealed for %s version %llu: lines were swapped or a name was changed", other->name,
				   (unsigned long long)other->version);
			return;
		}
	}
	buf_printf(out, "it was not sealed for %s/%s, %s version %llu with this key: changed by hand, renamed, or copied "
			"from elsewhere", file->project, file->environment, item->name, (unsigned long long)item->version);
}

struct failures {
	struct buf text;
	size_t count;
};

static void note_failure(struct failures *failures, const struct sealed_file *file, const char *file_name,
			 const struct sealed_value *item, const struct seal_key *key)
{
	if (failures->count++ >= TOLD_MAX)
		return;
	buf_printf(&failures->text, "%s%s:%u: the value of %s does not open: ", failures->text.len ? "\n" : "", file_name,
		   item->line, item->name);
	put_cause(&failures->text, file, item, key);
}

static int tell_failures(struct failures *failures, struct err *err)
{
	if (failures->count == 0)
		return 0;
	if (failures->count > TOLD_MAX)
		buf_printf(&failures->text, "\nand %zu more", failures->count - TOLD_MAX);
	err_set(err, ERR_DENIED, "%s", buf_str(&failures->text));
	buf_free(&failures->text);
	return err_hint(err, "take the line from a commit you trust (git log -p), or set the value again");
}

static void open_into(const struct sealed_file *file, const char *file_name, const struct sealed_value *item,
		      const struct seal_key *key, struct safe *safe, struct secret *out, struct failures *failures)
{
	const struct seal_context context = context_of(file, item);
	struct err why = ERR_INIT;

	if (seal_open(key, &context, item->sealed, safe, out, &why))
		note_failure(failures, file, file_name, item, key);
}

int sealed_file_open_one(const struct sealed_file *file, const char *file_name, const struct sealed_value *item,
			 const struct seal_key *key, struct safe *safe, struct secret *out, struct err *err)
{
	struct failures failures = {.text = BUF_INIT(4096)};

	open_into(file, file_name, item, key, safe, out, &failures);
	return tell_failures(&failures, err);
}

int sealed_file_open(const struct sealed_file *file, const char *file_name, const struct seal_key *key,
		     struct safe *safe, struct secret *values, struct err *err)
{
	struct failures failures = {.text = BUF_INIT(4096)};

	for (size_t i = 0; i < file->count; i++)
		open_into(file, file_name, &file->items[i], key, safe, &values[i], &failures);
	return tell_failures(&failures, err);
}

int sealed_file_reseal(struct arena *arena, struct sealed_file *file, const char *file_name,
		       const struct seal_key *from, const struct seal_key *to, struct err *err)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	struct secret *values = ARENA_NEW_ARRAY(arena, file->count, struct secret);

	if (sealed_file_open(file, file_name, from, safe, values, err))
		return -1;
	for (size_t i = 0; i < file->count; i++)
		seal_item(arena, file, to, secret_reveal(values[i]), &file->items[i]);
	file->key_id = arena_strdup(arena, to->id);
	return 0;
}
