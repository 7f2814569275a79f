/* Claims about file systems that can share blocks, held against a real btrfs. Needs
 * root and mkfs.btrfs (named by MKFS_BTRFS where it is not in PATH). */
#include "client.h"

#include <string.h>
#include <sys/mount.h>

static const struct item one[] = {{.path = "a/kept.txt", .content = "kept"},
				  {.path = "b", .content = "one"},
				  {.path = "bin", .content = "#!", .executable = true},
				  {.path = "empty", .content = ""},
				  {0}};
static const struct item two[] = {{.path = "a/kept.txt", .content = "kept"},
				  {.path = "b", .content = "two"},
				  {.path = "bin", .content = "#!", .executable = true},
				  {.path = "empty", .content = ""},
				  {0}};

static bool mount_btrfs(const char *folder)
{
	const char *mkfs = getenv("MKFS_BTRFS") ? getenv("MKFS_BTRFS") : "mkfs.btrfs";
	char text[1024];

	snprintf(text, sizeof(text),
		 "PATH=$PATH:/usr/sbin:/sbin; cd %s && truncate -s 200M image && %s -q image >/dev/null 2>&1 "
		 "&& mkdir fs && "
		 "mount -o loop image fs 2>/dev/null",
		 folder, mkfs);
	return geteuid() == 0 && system(text) == 0;
}

static struct stat stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st;
}

static void activations_share_blocks_not_files(void **state)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct temp temp = temp_make();
	const char *fs = path_at(&arena, temp.path, "fs"), *place = path_at(&arena, fs, "shop");
	struct client c;

	(void)state;
	if (!mount_btrfs(temp.path)) {
		temp_remove(&temp);
		print_message("# needs root, mkfs.btrfs and loop devices\n");
		skip();
	}
	client_start(&c, place, NULL);
	client_deploy(&c, "d1", one, NULL);
	const char *first = path_at(&arena, place, current_of(&arena, place));
	assert_int_equal(client_prepare(&c, "d2", two, NULL), MSG_PREPARED);
	assert_int_equal(client_get_u64(&c, "received"), 1);
	assert_int_equal(client_get_u64(&c, "linked"), 3);
	assert_int_equal(client_get_u64(&c, "copied"), 0);
	const char *second =
		path_at(&arena, place, arena_printf(&arena, "releases/%s", client_get(&c, "name")));
	struct stat old = stat_of(path_at(&arena, first, "a/kept.txt"));
	struct stat new = stat_of(path_at(&arena, second, "a/kept.txt"));
	assert_true(old.st_ino != new.st_ino &&old.st_nlink == 1 && new.st_nlink == 1);
	assert_int_equal(new.st_mtime, 1700000000);
	assert_int_equal(stat_of(path_at(&arena, second, "bin")).st_mode & 07777, 0755);
	/* An edit in place spoils one, not both. */
	write_at(second, "a/kept.txt", "edited");
	assert_string_equal(text_at(&arena, first, "a/kept.txt"), "kept");
	client_end(&c);
	assert_int_equal(umount(fs), 0);
	temp_remove(&temp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(activations_share_blocks_not_files)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
