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

/* "db/main/KIND/NAME/…", cut up; the name is what lies before the last part. */
struct db_key {
	struct slice database, kind, name;
};

static bool parse_db_key(const char *key, struct db_key *out)
{
	struct slice rest = slice_of(key);

	if (!slice_is(slice_cut(&rest, '/'), "db"))
		return false;
	out->database = slice_cut(&rest, '/');
	out->kind = slice_cut(&rest, '/');
	while (rest.len && rest.ptr[rest.len - 1] != '/')
		rest.len--;
	out->name = slice_make(rest.ptr, rest.len ? rest.len - 1 : 0);
	return out->name.len > 0;
}

static bool is_of_others(const struct db_key *key)
{
	return slice_is(key->kind, "owner") || slice_is(key->kind, "grant");
}

/* As owners and grants call it: "main/orders", "main/function f()". */
static const char *thing_name(struct arena *arena, const struct db_key *key, bool with_kind)
{
	return with_kind ? arena_printf(arena, "%.*s/%.*s %.*s", SLICE_ARG(key->database),
					SLICE_ARG(key->kind), SLICE_ARG(key->name))
			 : arena_printf(arena, "%.*s/%.*s", SLICE_ARG(key->database), SLICE_ARG(key->name));
}

/* The name of what an owner or a grant is about; the role stands behind that of a grant. */
static const char *owned_name(struct arena *arena, const struct db_key *key)
{
	struct slice name = key->name;

	if (slice_is(key->kind, "grant")) {
		while (name.len && name.ptr[name.len - 1] != '/')
			name.len--;
		name.len -= name.len > 0;
	}
	return arena_printf(arena, "%.*s/%.*s", SLICE_ARG(key->database), SLICE_ARG(name));
}

/* What is not there belongs to nobody. */
static void fold_owners(struct gatherer *gatherer)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(map_free) struct map things = MAP_INIT;
	struct db_key key;

	for (size_t i = 0; i < gatherer->count; i++) {
		struct draft *draft = &gatherer->drafts[i];
		if (draft->gone || !draft->missing || !parse_db_key(draft->finding.key, &key) ||
		    is_of_others(&key))
			continue;
		for (int with_kind = 0; with_kind < 2; with_kind++) {
			struct slice name = slice_of(thing_name(&arena, &key, with_kind));
			if (!map_get(&things, name))
				map_put(&things, name, draft);
		}
	}
	for (size_t i = 0; i < gatherer->count; i++) {
		struct draft *draft = &gatherer->drafts[i];
		if (draft->gone || !draft->missing || !parse_db_key(draft->finding.key, &key) ||
		    !is_of_others(&key))
			continue;
		struct draft *thing = map_get(&things, slice_of(owned_name(&arena, &key)));
		if (!thing || thing->pattern != draft->pattern)
			continue;
		thing->finding.folded += 1 + draft->finding.folded;
		draft->gone = true;
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
