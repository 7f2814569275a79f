/* How fast a release on a server is verified, and what of it is whose: the agent's deep scan
 * and its facts of files, beside what cannot be left out. Everything lies in the page cache and
 * every contender sees the same files in the same order; rounds go through all contenders, and
 * medians count.
 *
 *	bench_verify ROUNDS PLACE
 *
 * PLACE is the folder of a deployment on this machine. Prints one JSON object: milliseconds of
 * each contender, files and bytes. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/fd.h"
#include "codec/digest.h"
#include "target/fleet.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS_MAX = 1000, PATH_LEN_MAX = 4096 };

struct item {
	size_t folder; /* index of the folder it lies in */
	const char *name;
	size_t at, size; /* of its content in `bytes` */
};

struct tree {
	struct arena arena;
	int root_fd;
	const char **folders; /* relative to the root */
	size_t folder_count, folder_cap;
	struct item *items; /* in the order of the walk: a folder's files stand together */
	size_t count, cap;
	char *bytes, *room; /* all contents; as much room as the largest takes */
	size_t total, largest;
};

static int fail(const struct err *err)
{
	fprintf(stderr, "%s\n%s\n", err->text, err->hint);
	return 2;
}

/* --- the files, looked at once before anything is measured --------------------------- */

struct visit {
	struct tree *tree;
	int fd;
	size_t folder;
	bool folders; /* what is visited: folders, or files */
};

static int list_folder(struct tree *tree, int fd, const char *path, struct err *err);

static int visit_entry(void *context, const char *name, unsigned char type, struct err *err)
{
	struct visit *visit = context;
	struct tree *tree = visit->tree;
	struct stat st;

	if (fstatat(visit->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_errno(err, "%s", name);
	(void)type;
	if (S_ISDIR(st.st_mode) && visit->folders) {
		AUTO(close_fd) int fd = -1;
		if (dir_open_at(visit->fd, name, &fd, err))
			return -1;
		return list_folder(tree, fd,
				   arena_printf(&tree->arena, "%s/%s", tree->folders[visit->folder], name),
				   err);
	}
	if (!S_ISREG(st.st_mode) || visit->folders)
		return 0;
	if (tree->count == tree->cap)
		tree->items = mem_grow(tree->items, tree->cap = MAX(tree->cap * 2, (size_t)64),
				       sizeof(*tree->items));
	tree->items[tree->count++] = (struct item){visit->folder, arena_strdup(&tree->arena, name),
						   tree->total, (size_t)st.st_size};
	tree->total += (size_t)st.st_size;
	tree->largest = MAX(tree->largest, (size_t)st.st_size);
	return 0;
}

static int list_folder(struct tree *tree, int fd, const char *path, struct err *err)
{
	struct visit visit = {tree, fd, tree->folder_count, false};

	if (tree->folder_count == tree->folder_cap)
		tree->folders =
			mem_grow(tree->folders, tree->folder_cap = MAX(tree->folder_cap * 2, (size_t)64),
				 sizeof(*tree->folders));
	tree->folders[tree->folder_count++] = path;
	if (dir_each_fd(fd, path, visit_entry, &visit, err))
		return -1;
	visit.folders = true;
	return dir_each_fd(fd, path, visit_entry, &visit, err);
}

/* --- contenders ----------------------------------------------------------------------- */

/* What opening, reading whole and closing each file takes, and nothing else. `to` 0: each to
 * the same room. */
static void read_files(struct tree *tree, char *to, bool hash)
{
	size_t folder = SIZE_MAX;
	struct digest digest;
	int folder_fd = -1;

	for (size_t i = 0; i < tree->count; i++) {
		const struct item *item = &tree->items[i];
		if (item->folder != folder) {
			close_fd(&folder_fd);
			folder = item->folder;
			folder_fd = openat(tree->root_fd, tree->folders[folder],
					   O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		}
		int fd = openat(folder_fd, item->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		char *room = to ? to + item->at : tree->room;
		ASSERT(fd >= 0 && read(fd, room, item->size) == (ssize_t)item->size);
		if (hash)
			digest_of(slice_make(room, item->size), &digest);
		close(fd);
	}
	close_fd(&folder_fd);
}

static void hash_one_buffer(struct tree *tree, struct fleet *fleet)
{
	struct digest digest;

	(void)fleet;
	digest_of(slice_make(tree->bytes, tree->total), &digest);
}

static void hash_pieces(struct tree *tree, struct fleet *fleet)
{
	struct digest digest;

	(void)fleet;
	for (size_t i = 0; i < tree->count; i++)
		digest_of(slice_make(tree->bytes + tree->items[i].at, tree->items[i].size), &digest);
}

static void only_read(struct tree *tree, struct fleet *fleet)
{
	(void)fleet;
	read_files(tree, NULL, false);
}

static void read_and_hash(struct tree *tree, struct fleet *fleet)
{
	(void)fleet;
	read_files(tree, NULL, true);
}

static void scan_deep(struct tree *tree, struct fleet *fleet)
{
	struct err err = ERR_INIT;

	(void)tree;
	if (fleet_scan(fleet, NULL, true, &err))
		exit(fail(&err));
}

static void facts_of_files(struct tree *tree, struct fleet *fleet)
{
	const char *only = "file";
	struct probe_order order = {.only = {.items = &only, .count = 1}};
	struct err err = ERR_INIT;

	(void)tree;
	if (fleet_probe(fleet, NULL, &order, &err))
		exit(fail(&err));
}

static const struct contender {
	const char *name;
	void (*run)(struct tree *tree, struct fleet *fleet);
} contenders[] = {
	{"one_buffer", hash_one_buffer},  {"pieces", hash_pieces}, {"read", only_read},
	{"read_and_hash", read_and_hash}, {"scan", scan_deep},	   {"facts", facts_of_files},
};

static int by_size(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void measure(struct tree *tree, struct fleet *fleet, int rounds)
{
	double taken[ARRAY_LEN(contenders)][ROUNDS_MAX];

	for (int round = 0; round < rounds; round++)
		for (size_t i = 0; i < ARRAY_LEN(contenders); i++) {
			int64_t began_us = clock_mono_us();
			contenders[i].run(tree, fleet);
			taken[i][round] = (double)(clock_mono_us() - began_us) / 1e3;
		}
	printf("{\"files\": %zu, \"bytes\": %zu, \"ms\": {", tree->count, tree->total);
	for (size_t i = 0; i < ARRAY_LEN(contenders); i++) {
		qsort(taken[i], (size_t)rounds, sizeof(taken[i][0]), by_size);
		printf("%s\"%s\": %.2f", i ? ", " : "", contenders[i].name, taken[i][rounds / 2]);
	}
	printf("}}\n");
}

int main(int argc, char **argv)
{
	struct tree tree = {.arena = ARENA_INIT, .root_fd = -1};
	char path[PATH_LEN_MAX];
	struct err err = ERR_INIT;
	struct fleet *fleet;
	int rounds = argc == 3 ? atoi(argv[1]) : 0;

	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	snprintf(path, sizeof(path), "%s/current", argv[2]);
	if (dir_open_at(AT_FDCWD, path, &tree.root_fd, &err) || list_folder(&tree, tree.root_fd, ".", &err))
		return fail(&err);
	tree.bytes = mem_alloc(tree.total + 1);
	tree.room = mem_alloc(tree.largest + 1);
	read_files(&tree, tree.bytes, false);
	struct place_address address = {.kind = PLACE_LOCAL, .path = argv[2], .text = argv[2]};
	struct fleet_options options = {.observe = true};
	if (fleet_open(&address, 1, &options, &fleet, &err))
		return fail(&err);
	measure(&tree, fleet, rounds);
	fleet_close(&fleet);
	free(tree.folders);
	free(tree.items);
	free(tree.bytes);
	free(tree.room);
	arena_free(&tree.arena);
	close_fd(&tree.root_fd);
	return 0;
}
