/* What lies below a folder: names, kinds and links, and whether a release may
 * carry them. No content is read here. */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { DEPTH_MAX = 128 };

int tree_refuse(struct err *err, struct slice path, const char *why)
{
	AUTO(buf_free) struct buf shown = BUF_INIT(MANIFEST_PATH_MAX * 4 + 1);

	buf_put_printable(&shown, path);
	return err_set(err, ERR_USER, "\"%s\" %s", buf_str(&shown), why);
}

int tree_wrap(struct err *err, struct slice path)
{
	AUTO(buf_free) struct buf shown = BUF_INIT(MANIFEST_PATH_MAX * 4 + 1);

	buf_put_printable(&shown, path);
	return err_wrap(err, "\"%s\"", buf_str(&shown));
}

static int system_refuses(struct err *err, struct slice path, const char *what)
{
	int why = errno;

	err_errno(err, "%s", what);
	if (why == EACCES || why == EPERM)
		err_hint(err, "every file of the release must be readable by whoever builds it");
	return tree_wrap(err, path);
}

struct folder {
	struct tree *tree;
	const struct store_import *options;
	int fd;
	struct slice path; /* empty at the top */
	int depth;
};

static struct entry *add_entry(struct tree *tree, struct slice path, enum entry_type type, uint16_t mode)
{
	if (tree->count == tree->cap) {
		tree->cap = MAX(tree->cap * 2, (size_t)256);
		tree->entries = mem_grow(tree->entries, tree->cap, sizeof(*tree->entries));
	}
	struct entry *entry = &tree->entries[tree->count++];
	/* NUL-terminated too, for opening. */
	*entry = (struct entry){.type = type, .mode = mode, .path = slice_of(arena_str(&tree->arena, path))};
	return entry;
}

static int add_link(struct folder *folder, const char *name, struct slice path, struct err *err)
{
	char target[MANIFEST_LINK_MAX + 1];
	ssize_t len = readlinkat(folder->fd, name, target, sizeof(target));

	if (len < 0)
		return system_refuses(err, path, "readlink");
	if (len > MANIFEST_LINK_MAX)
		return tree_refuse(err, path, "is a symlink with an overlong target");
	struct entry *entry = add_entry(folder->tree, path, ENTRY_LINK, 0777);
	struct slice *kept = ARENA_NEW(&folder->tree->arena, struct slice);
	*kept = arena_slice(&folder->tree->arena, slice_make(target, (size_t)len));
	entry->size = kept->len;
	map_put(&folder->tree->links, entry->path, kept);
	return 0;
}

static int visit(void *context, const char *name, struct err *err);

static int add_folder(struct folder *folder, const char *name, struct slice path, struct err *err)
{
	if (folder->depth >= DEPTH_MAX)
		return tree_refuse(err, path, "lies too deep: more than 128 folders");
	struct entry *entry = add_entry(folder->tree, path, ENTRY_DIR, 0755);
	struct folder below = {folder->tree, folder->options, -1, entry->path, folder->depth + 1};
	AUTO(close_fd) int fd = openat(folder->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return system_refuses(err, below.path, "open");
	below.fd = fd;
	return dir_each_at(fd, ".", visit, &below, err);
}

static int visit(void *context, const char *name, struct err *err)
{
	struct folder *folder = context;
	const struct store_import *options = folder->options;
	AUTO(buf_free) struct buf joined = BUF_INIT(MANIFEST_PATH_MAX);
	struct stat st;

	if (folder->path.len) {
		buf_put_slice(&joined, folder->path);
		buf_putc(&joined, '/');
	}
	buf_puts(&joined, name);
	struct slice path = buf_slice(&joined);
	if (joined.overflow)
		return tree_refuse(err, folder->path, "holds a path longer than 4095 bytes");
	if (fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return system_refuses(err, path, "stat");
	if (options && options->skip && options->skip(options->context, path, S_ISDIR(st.st_mode)))
		return 0;
	if (folder->tree->count >= MANIFEST_ENTRIES_MAX)
		return err_set(err, ERR_USER, "more than %d files and folders", MANIFEST_ENTRIES_MAX);
	if (S_ISDIR(st.st_mode))
		return add_folder(folder, name, path, err);
	if (S_ISLNK(st.st_mode))
		return add_link(folder, name, path, err);
	if (!S_ISREG(st.st_mode))
		return tree_refuse(err, path, "is a device, socket or fifo: a release cannot carry that");
	if (st.st_mode & (S_ISUID | S_ISGID)) {
		tree_refuse(err, path, "is setuid or setgid: a release cannot carry that");
		return err_hint(err, "take the bit away in the build: chmod ug-s");
	}
	add_entry(folder->tree, path, ENTRY_FILE, st.st_mode & 0111 ? 0755 : 0644);
	return 0;
}

static int check_links(const struct tree *tree, struct err *err)
{
	for (size_t i = 0; i < tree->links.entries_used; i++) {
		const struct map_entry *link = &tree->links.entries[i];
		const struct slice *target = link->value;
		if (link_stays_inside(&tree->links, link->key, *target))
			continue;
		AUTO(buf_free) struct buf why = BUF_INIT(MANIFEST_LINK_MAX * 4 + 100);
		buf_puts(&why, "is a symlink that leads out of the release, to \"");
		buf_put_printable(&why, *target);
		buf_puts(&why, "\"");
		tree_refuse(err, link->key, buf_str(&why));
		return err_hint(err,
				"links must be relative and stay inside; what outlives releases belongs into "
				"shared_dirs or shared_files");
	}
	return 0;
}

int tree_walk(int dir_fd, const struct store_import *options, struct tree *tree, struct err *err)
{
	struct folder top = {tree, options, dir_fd, {"", 0}, 0};

	if (dir_each_at(dir_fd, ".", visit, &top, err))
		return -1;
	return check_links(tree, err);
}

void tree_free(struct tree *tree)
{
	free(tree->entries);
	map_free(&tree->links);
	arena_free(&tree->arena);
}
