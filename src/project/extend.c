/* Finding, reading and merging templates. What keys mean is none of its business. */
#include "project/extend.h"

#include "base/fd.h"
#include "base/map.h"
#include "codec/digest.h"
#include "doc/yaml.h"
#include "project/path.h"
#include "source/source.h"

#include <fcntl.h>
#include <unistd.h>

enum { ADDRESS_MAX = 2048, COMMIT_SHOWN = 12 };

static const char builtin_prefix[] = "lockstep:", git_prefix[] = "git+";

enum kind { KIND_PROJECT = 1, KIND_BUILTIN, KIND_LOCAL, KIND_GIT };

/* A file on the way from the project to a template. */
struct location {
	const struct location *parent; /* who names it; NULL for the project's own file */
	enum kind kind;
	const char
		*address; /* what makes it one and the same: "lockstep:node", "deploy/common.yml", "git+…" */
	const char *shown;     /* in messages */
	const char *path;      /* in its folder or repository; NULL for a built-in */
	const char *url;       /* of a repository, as written; "a/b" is relative to the project */
	const char *url_shown; /* without a password */
	const char *commit;
	const struct builtin_template *builtin;
	size_t depth;
};

struct extender {
	struct arena *arena;
	const struct project_reading *reading;
	struct diags *diags;
	struct map applied; /* address → itself, for those read or being read */
	const struct node *merged;
	struct project_template *templates;
	size_t count;
	const char *folder; /* what stands before a local path in messages */
};

/* ---- merging ---- */

static bool is_list_of(const struct node *node, const char *key, const struct node **out)
{
	*out = node_get(node, key);
	return *out && (*out)->kind == NODE_LIST;
}

/* {append: [...]}, {prepend: [...]} or both: what is added to an inherited list. */
static bool is_addition(const struct node *node, const struct node **prepend, const struct node **append)
{
	if (node->kind != NODE_MAP || node->count == 0 || node->count > 2)
		return false;
	size_t lists = is_list_of(node, "prepend", prepend);
	lists += is_list_of(node, "append", append);
	return lists == node->count;
}

static size_t copy_items(struct node_item *items, size_t at, const struct node *list)
{
	for (size_t i = 0; list && i < list->count; i++)
		items[at++] = list->items[i];
	return at;
}

static const struct node *add_to_list(struct arena *arena, const struct node *base, const struct node *over,
				      const struct node *prepend, const struct node *append)
{
	if (base && base->kind != NODE_LIST)
		base = node_list_of(arena, base);
	size_t count =
		(prepend ? prepend->count : 0) + (base ? base->count : 0) + (append ? append->count : 0);
	struct node_item *items = ARENA_NEW_ARRAY(arena, count, struct node_item);
	size_t at = copy_items(items, 0, prepend);
	at = copy_items(items, at, base);
	copy_items(items, at, append);
	return node_list_make(arena, over->origin, items, count);
}

static struct node_entry *find_entry(struct node_entry *entries, const struct node *base, struct slice key)
{
	const struct node_entry *found = node_find(base, key.ptr);
	return found ? &entries[found - base->entries] : NULL;
}

/* What is one of several kinds is one thing: half of a URL check and half of a command
 * make no check. */
static bool is_whole(struct slice key)
{
	static const char *const whole[] = {"health", "deploy_on"};
	for (size_t i = 0; i < ARRAY_LEN(whole); i++)
		if (slice_is(key, whole[i]))
			return true;
	return false;
}

static const struct node *merge_maps(struct arena *arena, const struct node *base, const struct node *over)
{
	size_t base_count = base ? base->count : 0, count = base_count, used = 0;
	struct node_entry *entries = ARENA_NEW_ARRAY(arena, base_count + over->count, struct node_entry);
	for (size_t i = 0; i < base_count; i++)
		entries[i] = base->entries[i];
	for (size_t i = 0; i < over->count; i++) {
		const struct node_entry *entry = &over->entries[i];
		struct node_entry *below = base ? find_entry(entries, base, entry->key) : NULL;
		if (!below) {
			entries[count] = *entry;
			entries[count++].value = extend_merge_nodes(arena, NULL, entry->value);
		} else if (entry->value->kind == NODE_NULL) {
			below->value = NULL;
		} else {
			const struct node *under = is_whole(entry->key) ? NULL : below->value;
			below->value = extend_merge_nodes(arena, under, entry->value);
			below->origin = entry->origin;
		}
	}
	for (size_t i = 0; i < count; i++)
		if (entries[i].value)
			entries[used++] = entries[i];
	return node_map_make(arena, over->origin, entries, used);
}

const struct node *extend_merge_nodes(struct arena *arena, const struct node *base, const struct node *over)
{
	const struct node *prepend = NULL, *append = NULL;
	if (over->kind != NODE_MAP)
		return over;
	if (is_addition(over, &prepend, &append))
		return add_to_list(arena, base, over, prepend, append);
	return merge_maps(arena, base && base->kind == NODE_MAP ? base : NULL, over);
}

/* ---- addresses ---- */

static int refuse(struct extender *e, const struct node *at, const char *hint, const char *format, ...)
	PRINTF(4, 5);
static int refuse(struct extender *e, const struct node *at, const char *hint, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	diags_verror(e->diags, at->origin, format, args);
	va_end(args);
	if (hint)
		diags_hint(e->diags, "%s", hint);
	return -1;
}

static int locate_builtin(struct extender *e, const struct node *at, struct location *out)
{
	const char *name = at->text.ptr + strlen(builtin_prefix);
	const char *names[64];
	size_t count = 0;
	AUTO(buf_free) struct buf known = BUF_INIT(KIB(4));
	for (const struct builtin_template *row = builtin_templates; row->name; row++) {
		if (strcmp(row->name, name) == 0) {
			out->kind = KIND_BUILTIN;
			out->builtin = row;
			out->address = out->shown = at->text.ptr;
			return 0;
		}
		ASSERT(count < ARRAY_LEN(names));
		names[count++] = row->name;
		buf_printf(&known, "%s%s%s", known.len ? ", " : "known are ", builtin_prefix, row->name);
	}
	const char *near = key_nearest(slice_of(name), names, count);
	return refuse(e, at,
		      near ? arena_printf(e->arena, "did you mean `%s%s`?", builtin_prefix, near)
			   : buf_str(&known),
		      "there is no built-in template `%.100s`", name);
}

/* `path` as seen from the folder of `from`, cleaned. NULL: it leaves the top. */
static const char *join_path(struct arena *arena, const char *from, struct slice path)
{
	AUTO(buf_free) struct buf joined = BUF_INIT(ADDRESS_MAX);
	const char *slash = strrchr(from, '/');
	if (slash)
		buf_put(&joined, from, (size_t)(slash - from));
	for (struct slice rest = path; rest.ptr;) {
		struct slice part = slice_cut(&rest, '/');
		if (!part.len || slice_is(part, "."))
			continue;
		if (!slice_is(part, "..")) {
			buf_printf(&joined, "%s%.*s", joined.len ? "/" : "", SLICE_ARG(part));
			continue;
		}
		if (!joined.len)
			return NULL;
		while (joined.len && joined.ptr[joined.len - 1] != '/')
			joined.len--;
		if (joined.len)
			joined.len--;
	}
	if (joined.overflow || !joined.len)
		return NULL;
	return arena_str(arena, buf_slice(&joined));
}

static void name_git(struct extender *e, struct location *out)
{
	const char *file = arena_printf(e->arena, "%s%s//%s", git_prefix, out->url_shown, out->path);
	out->address = arena_printf(e->arena, "%s@%s", file, out->commit);
	out->shown = arena_printf(e->arena, "%s@%.*s", file, COMMIT_SHOWN, out->commit);
}

static int locate_local(struct extender *e, const struct node *at, struct location *out)
{
	const struct location *parent = out->parent;
	if (parent->kind == KIND_BUILTIN)
		return refuse(e, at, NULL, "a built-in template has no folder for `%s`", at->text.ptr);
	if (at->text.ptr[0] == '/')
		return refuse(e, at,
			      "a template of the repository travels with its commits; for one of another "
			      "repository write git+URL//PATH@COMMIT",
			      "`%s` must be relative to the file that names it", at->text.ptr);
	out->path = join_path(e->arena, parent->path, at->text);
	if (!out->path)
		return refuse(e, at, NULL, "`%s` lies outside the %s", at->text.ptr,
			      parent->kind == KIND_GIT ? "repository of the template"
						       : "folder of the project");
	if (parent->kind == KIND_GIT) {
		out->kind = KIND_GIT;
		out->url = parent->url;
		out->commit = parent->commit;
		out->url_shown = parent->url_shown;
		name_git(e, out);
		return 0;
	}
	out->kind = KIND_LOCAL;
	out->address = out->path;
	out->shown = arena_printf(e->arena, "%s%s", e->folder, out->path);
	return 0;
}

static bool is_full_hash(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!strchr("0123456789abcdef", text.ptr[i]))
			return false;
	return text.len == 40 || text.len == 64;
}

/* The `//` between URL and path: the last one that is not a scheme's. */
static const char *find_separator(struct slice text)
{
	for (size_t i = text.len; i-- > 1;)
		if (text.ptr[i] == '/' && text.ptr[i - 1] == '/' && (i < 2 || text.ptr[i - 2] != ':'))
			return text.ptr + i - 1;
	return NULL;
}

static int locate_git(struct extender *e, const struct node *at, struct location *out)
{
	static const char form[] = "write git+URL//PATH@COMMIT, such as "
				   "git+https://git.acme.io/templates.git//php.yml@<40 hex digits>";
	struct slice text = slice_skip(at->text, strlen(git_prefix));
	const char *pin = memrchr(text.ptr, '@', text.len);
	struct slice commit = pin ? slice_skip(text, (size_t)(pin + 1 - text.ptr)) : slice_of("");
	if (!pin || !is_full_hash(commit))
		return refuse(
			e, at,
			"branches and tags move; `git rev-parse TAG` gives the commit to write behind @",
			"`%s` must end with @ and a full commit", at->text.ptr);
	text.len = (size_t)(pin - text.ptr);
	const char *separator = find_separator(text);
	if (!separator || separator == text.ptr)
		return refuse(e, at, form, "`%s` does not say which file of the repository", at->text.ptr);
	struct slice path = slice_skip(text, (size_t)(separator + 2 - text.ptr));
	text.len = (size_t)(separator - text.ptr);
	out->path = path_fault(path) ? NULL : arena_str(e->arena, path);
	if (!out->path)
		return refuse(e, at, form, "`%.*s` is no path in a repository", SLICE_ARG(path));
	bool relative = text.ptr[0] == '.' || (!memmem(text.ptr, text.len, ":", 1) && text.ptr[0] != '/');
	if (relative && out->parent->kind == KIND_GIT)
		return refuse(e, at, "write the whole URL",
			      "a template of another repository cannot name `%.*s`", SLICE_ARG(text));
	if (!e->reading->home)
		return refuse(e, at, NULL, "templates of other repositories are not read here");
	out->kind = KIND_GIT;
	out->url = arena_str(e->arena, text);
	out->commit = arena_str(e->arena, commit);
	/* Only looks at the address; a local repository must be there. */
	AUTO(source_close) struct source *source = NULL;
	struct err err = ERR_INIT;
	if (source_open(e->reading->home, out->url, e->reading->dir, &source, &err))
		return refuse(e, at, *err.hint ? err.hint : NULL, "%s", err.text);
	out->url_shown = arena_strdup(e->arena, source_url(source));
	name_git(e, out);
	return 0;
}

/* For the question what another commit of a template would change. */
static void replace_commit(struct extender *e, struct location *out)
{
	const struct project_reading *reading = e->reading;
	size_t len = reading->replace ? strlen(reading->replace) : 0;
	if (out->kind != KIND_GIT || !len || strncmp(out->address, reading->replace, len) != 0 ||
	    out->address[len] != '@')
		return;
	out->commit = reading->replace_commit;
	name_git(e, out);
}

static int locate(struct extender *e, const struct node *at, struct location *out)
{
	if (at->text.len > ADDRESS_MAX || has_control(at->text))
		return refuse(e, at, NULL, "`%.100s` cannot be the address of a template", at->text.ptr);
	int status = slice_starts_with(at->text, builtin_prefix) ? locate_builtin(e, at, out)
		     : slice_starts_with(at->text, git_prefix)	 ? locate_git(e, at, out)
								 : locate_local(e, at, out);
	if (status == 0)
		replace_commit(e, out);
	return status;
}

/* ---- reading ---- */

static int read_local(struct extender *e, const char *path, struct buf *out, struct err *err)
{
	const struct project_reading *reading = e->reading;
	if (reading->read)
		return reading->read(reading->context, path, out, err);
	if (!reading->dir)
		return err_set(err, ERR_NOT_FOUND, "there is no folder to read `%s` from", path);
	AUTO(close_fd) int dir_fd = -1;
	AUTO(close_fd) int fd = -1;
	if (dir_open_at(AT_FDCWD, reading->dir, &dir_fd, err) ||
	    open_beneath(dir_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, true, &fd, err))
		return -1;
	struct stat st;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return err_set(err, ERR_USER, "%s is not a regular file", path);
	return fd_read_all(fd, out, err);
}

static int read_git(struct extender *e, const struct location *from, struct buf *out, struct err *err)
{
	AUTO(source_close) struct source *source = NULL;
	if (source_open(e->reading->home, from->url, e->reading->dir, &source, err) ||
	    source_need_commit(source, from->commit, NULL, err))
		return -1;
	return source_read_file(source, from->commit, from->path, out, err);
}

static int read_template(struct extender *e, const struct location *from, struct buf *out, struct err *err)
{
	switch (from->kind) {
	case KIND_BUILTIN:
		buf_puts(out, from->builtin->text);
		return buf_check(out, from->address, err);
	case KIND_GIT:
		return read_git(e, from, out, err);
	case KIND_LOCAL:
		return read_local(e, from->path, out, err);
	case KIND_PROJECT:
		break;
	}
	ASSERT(false);
	return -1;
}

/* A template is for several projects: what says which one it is stays out of it. */
static int check_template(struct extender *e, const struct node *root)
{
	static const char *const own[] = {"project", "source"};
	size_t before = e->diags->errors;
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (node_find(root, own[i])) {
			diags_error(e->diags, node_key_origin(root, own[i]), "a template cannot set `%s`",
				    own[i]);
			diags_hint(e->diags, "it belongs to the file that extends the template");
		}
	const struct node *version = node_get(root, "version");
	if (version && (version->kind != NODE_INT || version->integer != 1))
		diags_error(e->diags, version->origin,
			    "`version` is %.100s, but this program reads version 1",
			    version->kind <= NODE_STR ? version->text.ptr : node_kind_words(version->kind));
	return e->diags->errors == before ? 0 : -1;
}

/* The map without what is not merged. */
static const struct node *own_part(struct arena *arena, const struct node *root)
{
	struct node_entry *entries = ARENA_NEW_ARRAY(arena, root->count, struct node_entry);
	size_t used = 0;
	for (size_t i = 0; i < root->count; i++)
		if (!slice_is(root->entries[i].key, "extends") && !slice_is(root->entries[i].key, "version"))
			entries[used++] = root->entries[i];
	return node_map_make(arena, root->origin, entries, used);
}

static int load(struct extender *e, const struct node *at, const struct location *from,
		const struct node **root, struct project_template *row)
{
	AUTO(buf_free) struct buf text = BUF_INIT(EXTEND_BYTES_MAX);
	struct err err = ERR_INIT;
	if (read_template(e, from, &text, &err))
		return refuse(e, at, *err.hint ? err.hint : NULL, "the template `%s` cannot be read: %s",
			      from->shown, err.text);
	struct yaml_limits limits = YAML_LIMITS;
	limits.nodes = EXTEND_NODES_MAX;
	struct digest digest;
	digest_of(buf_slice(&text), &digest);
	digest_to_hex(&digest, row->digest);
	if (yaml_parse_named(e->arena, from->shown, at->origin, buf_slice(&text), &limits, root, e->diags) &&
	    !*root)
		return -1;
	if ((*root)->kind == NODE_NULL)
		*root = node_map_make(e->arena, (*root)->origin, NULL, 0);
	if ((*root)->kind != NODE_MAP)
		return diags_error(e->diags, (*root)->origin, "a template is a map of keys, but this is %s",
				   node_kind_words((*root)->kind));
	return check_template(e, *root);
}

/* ---- one after the other ---- */

static int apply_all(struct extender *e, const struct node *root, const struct location *from);

/* The way from the project to a template that names one of those above it. */
static int refuse_circle(struct extender *e, const struct node *at, const struct location *from)
{
	const struct location *way[EXTEND_DEPTH_MAX + 2];
	size_t count = 0;
	AUTO(buf_free) struct buf text = BUF_INIT(KIB(16));
	for (const struct location *step = from; step && count < ARRAY_LEN(way); step = step->parent)
		way[count++] = step;
	while (count > 0) {
		const struct location *step = way[--count];
		buf_printf(&text, "%s%s", text.len ? " → " : "", step->shown);
	}
	return refuse(e, at, NULL, "`extends` goes in a circle: %s", buf_str(&text));
}

static int apply(struct extender *e, const struct node *at, const struct location *parent)
{
	struct location here = {.parent = parent, .depth = parent->depth + 1};
	if (locate(e, at, &here))
		return -1;
	for (const struct location *above = parent; above; above = above->parent)
		if (above->address && strcmp(above->address, here.address) == 0)
			return refuse_circle(e, at, &here);
	if (map_get(&e->applied, slice_of(here.address)))
		return 0;
	if (here.depth > EXTEND_DEPTH_MAX)
		return refuse(e, at, NULL, "more than %d templates inside each other", EXTEND_DEPTH_MAX);
	if (e->applied.count >= EXTEND_FILES_MAX)
		return refuse(e, at, NULL, "more than %d templates", EXTEND_FILES_MAX);
	map_put(&e->applied, slice_of(here.address), (void *)(uintptr_t)here.address);

	const struct node *root = NULL;
	struct project_template row = {.address = here.address,
				       .shown = here.shown,
				       .named_at = at->origin,
				       .local = here.kind == KIND_LOCAL};
	if (load(e, at, &here, &root, &row))
		return -1;
	row.file = root->origin.file;
	int status = apply_all(e, root, &here);
	e->merged = extend_merge_nodes(e->arena, e->merged, own_part(e->arena, root));
	ASSERT(e->count < EXTEND_FILES_MAX);
	e->templates[e->count++] = row;
	return status;
}

static int apply_all(struct extender *e, const struct node *root, const struct location *from)
{
	const struct node *extends = node_get(root, "extends");
	int status = 0;
	if (!extends)
		return 0;
	if (extends->kind == NODE_STR)
		return apply(e, extends, from);
	if (extends->kind != NODE_LIST)
		return from->kind == KIND_PROJECT ? 0
						  : diags_error(e->diags, extends->origin,
								"`extends` must be a list, but this is %s",
								node_kind_words(extends->kind));
	for (size_t i = 0; i < extends->count; i++) {
		const struct node *at = extends->items[i].value;
		if (at->kind != NODE_STR)
			status = from->kind == KIND_PROJECT
					 ? status
					 : diags_error(e->diags, at->origin,
						       "the address of a template is text, but this is %s",
						       node_kind_words(at->kind));
		else if (apply(e, at, from))
			status = -1;
	}
	return status;
}

/* "../shop/" of "../shop/lockstep.yml", "3fa9c1d20b7e:" of "3fa9c1d20b7e:lockstep.yml". */
static const char *folder_shown(struct arena *arena, const char *file)
{
	size_t len = strlen(file);
	while (len && file[len - 1] != '/' && file[len - 1] != ':')
		len--;
	return arena_str(arena, slice_make(file, len));
}

const struct node *extend_merge(struct arena *arena, const struct project_reading *reading,
				const struct node *root, struct project *project, struct diags *diags)
{
	static const struct project_reading nothing = {0};
	if (!node_find(root, "extends"))
		return root;
	const char *folder = folder_shown(arena, project->file);
	const struct location top = {
		.kind = KIND_PROJECT,
		.shown = project->file,
		.path = project->file + strlen(folder),
		.address = project->file + strlen(folder),
	};
	struct extender e = {
		.arena = arena,
		.reading = reading ? reading : &nothing,
		.diags = diags,
		.folder = folder,
		.templates = ARENA_NEW_ARRAY(arena, EXTEND_FILES_MAX, struct project_template),
	};
	size_t errors = diags->errors;
	int status = apply_all(&e, root, &top);
	project->templates.items = e.templates;
	project->templates.count = e.count;
	map_free(&e.applied);
	if (status || diags->errors != errors)
		return NULL;
	return extend_merge_nodes(arena, e.merged, root);
}
