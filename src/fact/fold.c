/* One cause is one finding: what others tell already is taken into theirs once all rows have
 * been seen. What stands next to each other is folded while it is gathered, in finding.c. */
#include "fact/gather.h"

static void fold_crowds(struct gatherer *gatherer)
{
	for (size_t i = 0; i < gatherer->crowd_count; i++) {
		const struct crowd *crowd = &gatherer->crowds[i];
		if (crowd->count <= draft_crowd_limit(crowd->dimension))
			continue;
		struct draft *first = &gatherer->drafts[crowd->first];
		if (first->gone)
			continue;
		for (size_t k = crowd->first + 1; k < gatherer->count; k++) {
			struct draft *draft = &gatherer->drafts[k];
			if (draft->gone || draft->crowd != i + 1)
				continue;
			draft_take_in(first, draft);
			draft->gone = true;
		}
		first->root = 0;
		first->finding.key = arena_printf(gatherer->arena, "%s/", crowd->dimension);
		first->sentence =
			arena_printf(gatherer->arena, "%zu facts of %s differ alike; the first is: %s",
				     first->finding.folded + 1, crowd->dimension, first->sentence);
	}
}

/* Of a whole tree the value of its first fact says nothing. */
static void say_present(struct arena *arena, struct finding *finding)
{
	struct finding_cell *cells = ARENA_NEW_ARRAY(arena, finding->cell_count, struct finding_cell);

	for (size_t i = 0; i < finding->cell_count; i++) {
		cells[i] = finding->cells[i];
		if (cells[i].state == CELL_SAME || cells[i].state == CELL_DRIFT ||
		    cells[i].state == CELL_ALLOWED)
			cells[i].text = "present";
	}
	finding->cells = cells;
}

/* The trees are named by what is missing as a whole. */
static void name_trees(struct gatherer *gatherer)
{
	for (size_t i = 0; i < gatherer->count; i++) {
		struct draft *draft = &gatherer->drafts[i];
		if (draft->gone || !draft->root || !draft->finding.folded)
			continue;
		const char *key = draft->finding.key;
		/* The one function of a database is told by its name. */
		for (size_t at = draft->root; at < draft->shared; at++)
			if (key[at] == '/')
				draft->root = at + 1;
		const char *root = arena_str(gatherer->arena, slice_make(key, draft->root));
		const char *before = words_key(gatherer->arena, key),
			   *after = words_key(gatherer->arena, root);
		const char *at = strstr(draft->sentence, before);
		bool whole = draft->root < draft_subject(slice_of(key)).len;
		draft->finding.key = root;
		if (slice_starts_with(slice_of(key), "env/") || slice_starts_with(slice_of(key), "db/") ||
		    (slice_starts_with(slice_of(key), "file/") && whole))
			say_present(gatherer->arena, &draft->finding);
		if (at)
			draft->sentence =
				arena_printf(gatherer->arena, "%.*s%s%s", (int)(at - draft->sentence),
					     draft->sentence, after, at + strlen(before));
	}
}

/* Files of a package that differs are told by the finding on the package. */
static void fold_packages(struct gatherer *gatherer)
{
	AUTO(map_free) struct map packages = MAP_INIT;

	for (size_t i = 0; i < gatherer->count; i++) {
		struct slice key = slice_of(gatherer->drafts[i].finding.key);
		if (slice_is(fact_dimension(key), "pkg") && !map_get(&packages, fact_subject(key)))
			map_put(&packages, fact_subject(key), &gatherer->drafts[i]);
	}
	for (size_t i = 0; i < gatherer->count; i++) {
		struct draft *draft = &gatherer->drafts[i];
		if (draft->by_hand || !draft->package)
			continue;
		struct draft *package = map_get(&packages, slice_of(draft->package));
		if (!package)
			continue;
		package->finding.folded += 1 + draft->finding.folded;
		package->finding.severity = MAX(package->finding.severity, draft->finding.severity);
		draft->gone = true;
	}
}

static bool is_schema(struct slice key)
{
	static const char *const parts[] = {"/table/",	  "/view/", "/function/", "/enum/",
					    "/sequence/", "/type/", "/domain/"};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (memmem(key.ptr, key.len, parts[i], strlen(parts[i])))
			return true;
	return false;
}

/* A digest over what has findings of its own says nothing more. */
static void fold_fingerprints(struct gatherer *gatherer)
{
	static const char tail[] = "/fingerprint/schema";

	for (size_t i = 0; i < gatherer->count; i++) {
		struct draft *draft = &gatherer->drafts[i];
		struct slice key = slice_of(draft->finding.key);
		if (draft->gone || !slice_starts_with(key, "db/") || !slice_ends_with(key, tail))
			continue;
		key.len -= sizeof(tail) - 2;
		for (size_t k = 0; k < gatherer->count && !draft->gone; k++) {
			struct draft *other = &gatherer->drafts[k];
			struct slice its = slice_of(other->finding.key);
			if (other->gone || its.len < key.len || memcmp(its.ptr, key.ptr, key.len) != 0 ||
			    !is_schema(its))
				continue;
			other->finding.folded++;
			draft->gone = true;
		}
	}
}

/* "orders" of "db/main/owner/orders/role", "function f()" likewise, also of grants. */
static struct slice owned_thing(struct slice key)
{
	struct slice rest = key;

	slice_cut(&rest, '/');
	slice_cut(&rest, '/');
	struct slice kind = slice_cut(&rest, '/');
	return slice_is(kind, "owner") || slice_is(kind, "grant") ? slice_cut(&rest, '/')
								  : slice_make(NULL, 0);
}

/* Whether `key` is a tree "db/main/table/orders/", or "db/main/function/f()/", of that name. */
static bool is_thing(struct slice key, struct slice name)
{
	struct slice rest = key;

	slice_cut(&rest, '/');
	slice_cut(&rest, '/');
	struct slice kind = slice_cut(&rest, '/');
	if (!rest.ptr || slice_is(kind, "owner") || slice_is(kind, "grant"))
		return false;
	if (name.len > kind.len && memcmp(name.ptr, kind.ptr, kind.len) == 0 && name.ptr[kind.len] == ' ')
		name = slice_skip(name, kind.len + 1);
	return rest.len > name.len && memcmp(rest.ptr, name.ptr, name.len) == 0 &&
	       rest.ptr[name.len] == '/' && slice_find(slice_skip(rest, name.len + 1), '/') < 0;
}

/* What is not there belongs to nobody. */
static void fold_owners(struct gatherer *gatherer)
{
	for (size_t i = 0; i < gatherer->count; i++) {
		struct draft *draft = &gatherer->drafts[i];
		struct slice key = slice_of(draft->finding.key), name = {0};
		if (draft->gone || !draft->missing || !slice_starts_with(key, "db/") ||
		    !(name = owned_thing(key)).len)
			continue;
		for (size_t k = 0; k < gatherer->count && !draft->gone; k++) {
			struct draft *other = &gatherer->drafts[k];
			if (other->gone || !other->missing || other->pattern != draft->pattern ||
			    !slice_starts_with(slice_of(other->finding.key), "db/") ||
			    !is_thing(slice_of(other->finding.key), name))
				continue;
			other->finding.folded += 1 + draft->finding.folded;
			draft->gone = true;
		}
	}
}

/* A service outside cannot be configured where its variable is missing. */
static void fold_endpoints(struct gatherer *gatherer)
{
	for (size_t i = 0; i < gatherer->count; i++) {
		struct draft *draft = &gatherer->drafts[i];
		struct slice key = slice_of(draft->finding.key);
		if (draft->gone || !draft->missing || !slice_starts_with(key, "endpoint/"))
			continue;
		struct slice rest = slice_skip(key, sizeof("endpoint/") - 1), name = slice_cut(&rest, '/');
		for (size_t k = 0; k < gatherer->count && !draft->gone; k++) {
			struct draft *other = &gatherer->drafts[k];
			struct slice its = slice_of(other->finding.key);
			if (other->gone || !other->missing || !slice_starts_with(its, "env/") ||
			    other->pattern != draft->pattern)
				continue;
			its = slice_skip(its, 4);
			if (!slice_equal(slice_cut(&its, '/'), name))
				continue;
			other->finding.folded += 1 + draft->finding.folded;
			draft->gone = true;
		}
	}
}

void fold_all(struct gatherer *gatherer)
{
	fold_packages(gatherer);
	fold_crowds(gatherer);
	name_trees(gatherer);
	fold_fingerprints(gatherer);
	fold_endpoints(gatherer);
	fold_owners(gatherer);
}
