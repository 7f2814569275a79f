/* Claims about whole deployments by the real agent: what is on the server afterwards. */
#include "client.h"

#include "codec/compress.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct world {
	struct temp temp;
	struct arena arena;
	char place[128];
	struct client c;
};

static int set_up(void **state)
{
	struct world *w = mem_alloc(sizeof(*w));

	w->temp = temp_make();
	snprintf(w->place, sizeof(w->place), "%s/srv/shop", w->temp.path);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	temp_remove(&w->temp);
	arena_free(&w->arena);
	free(w);
	return 0;
}

static const struct item one[] = {
	{.path = "bin/run", .content = "#!/bin/sh\n", .executable = true},
	{.path = "empty"},
	{.path = "index.html", .content = "one"},
	{.path = "lib/a.txt", .content = "the same in both"},
	{.path = "now", .link = "index.html"},
	{0},
};
static const struct item two[] = {
	{.path = "bin/run", .content = "#!/bin/sh\n", .executable = true},
	{.path = "index.html", .content = "two"},
	{.path = "lib/a.txt", .content = "the same in both"},
	{.path = "lib/b.txt", .content = "the same in both"},
	{.path = "now", .link = "index.html"},
	{0},
};

static struct stat stat_at(struct world *w, const char *path)
{
	struct stat st;

	if (lstat(path_at(&w->arena, w->place, path), &st) != 0)
		fail_msg("%s: %s", path, strerror(errno));
	return st;
}

#define assert_text(w, path, wanted)                                                                         \
	do {                                                                                                 \
		const char *text_ = text_at(&(w)->arena, (w)->place, path);                                  \
		if (!text_)                                                                                  \
			fail_msg("%s is not there", path);                                                   \
		assert_string_equal(text_, wanted);                                                          \
	} while (0)
#define assert_absent(w, path) assert_int_equal(access(path_at(&(w)->arena, (w)->place, path), F_OK), -1)
#define assert_answer(c, wanted, got)                                                                        \
	do {                                                                                                 \
		uint8_t got_ = got;                                                                          \
		if (got_ != (wanted))                                                                        \
			fail_msg("%s: %u: %s", #got, got_,                                                   \
				 got_ ? client_get(c, "text") : "the line was cut");                         \
	} while (0)
#define assert_refused(c, code_, got)                                                                        \
	do {                                                                                                 \
		assert_answer(c, MSG_REFUSED, got);                                                          \
		if (client_get_u64(c, "code") != (code_))                                                    \
			fail_msg("%s: code %s: %s", #got, client_get(c, "code"), client_get(c, "text"));     \
		assert_true(*client_get(c, "text"));                                                         \
	} while (0)

static void the_first_deployment_makes_everything(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	assert_int_equal(c->type, MSG_READY);
	assert_true(c->fresh);
	assert_string_equal(c->live, "");
	/* Looking leaves nothing behind. */
	assert_int_equal(access(w->place, F_OK), -1);
	client_deploy(c, "d1", one, NULL);
	assert_int_equal(client_end(c), 0);

	assert_text(w, "current/index.html", "one");
	assert_text(w, "current/now", "one");
	assert_int_equal(stat_at(w, "current/bin/run").st_mode & 07777, 0755);
	assert_int_equal(stat_at(w, "current/index.html").st_mode & 07777, 0644);
	assert_int_equal(stat_at(w, "current/index.html").st_mtime, 1700000000);
	assert_true(S_ISDIR(stat_at(w, "current/empty").st_mode));
	assert_int_equal(stat_at(w, ".lockstep").st_mode & 07777, 0700);
	assert_int_equal(strncmp(current_of(&w->arena, w->place), "releases/000001-", 16), 0);
	assert_absent(w, "current.new");
}

static void the_second_deployment_brings_only_what_changed(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	client_end(c);
	ino_t before = stat_at(w, "current/lib/a.txt").st_ino;
	client_start(c, w->place, NULL);
	assert_int_equal(c->activations, 1);
	assert_false(c->pending);
	assert_int_equal(client_lease(c, NULL), MSG_READY);
	assert_answer(c, MSG_PREPARED, client_prepare(c, "d2", two, NULL));
	assert_int_equal(c->needs, 1);
	/* Prepared is not live. */
	assert_text(w, "current/index.html", "one");
	assert_int_equal(client_ask(c, MSG_DECIDE, "deployment=d2 decision=commit"), MSG_DONE);
	assert_int_equal(client_ask(c, MSG_ACTIVATE, "deployment=d2 expect=%s", c->live), MSG_ACTIVATED);
	assert_int_equal(client_ask(c, MSG_RECORD, "event=verified deployment=d2 receipt=none"), MSG_DONE);
	assert_text(w, "current/index.html", "two");
	assert_text(w, "current/lib/b.txt", "the same in both");
	assert_int_equal(stat_at(w, "current/lib/a.txt").st_ino, before);
	assert_int_equal(client_ask(c, MSG_SCAN, "deep=1"), MSG_SCANNED);
	assert_int_equal(client_get_u64(c, "edits"), 0);
	client_end(c);
}

static void link_copy_shares_nothing(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	client_deploy(c, "d2", two, "link=copy");
	client_end(c);
	assert_int_equal(stat_at(w, "current/lib/a.txt").st_nlink, 1);
	assert_text(w, "current/lib/b.txt", "the same in both");
}

static void any_name_that_a_release_may_have_works(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	char longest[256], deep[2200] = "";
	struct item items[] = {
		{.path = longest, .content = "1"},
		{.path = deep, .content = "2"},
		{.path = "sp ace\nand\xff\xfe%20\x7f", .content = "3"},
		{.path = "-rf", .content = "4"},
		{0},
	};

	memset(longest, 'x', 255);
	longest[255] = '\0';
	for (int i = 0; i < 100; i++)
		strcat(deep, i ? "/a-folder-in-a-folder" : "a-folder-in-a-folder");
	client_start(c, w->place, NULL);
	client_deploy(c, "d1", items, NULL);
	items[0].content = "changed";
	client_deploy(c, "d2", items, NULL);
	assert_int_equal(client_ask(c, MSG_SCAN, "deep=0"), MSG_SCANNED);
	assert_int_equal(client_get_u64(c, "edits"), 0);
	client_end(c);
	assert_text(w, arena_printf(&w->arena, "current/%s", longest), "changed");
	assert_text(w, arena_printf(&w->arena, "current/%s", deep), "2");
	assert_text(w, "current/sp ace\nand\xff\xfe%20\x7f", "3");
}

/* The same bytes as file, executable, link target, covered, generated, shared: each
 * order of the paths makes another one the first. */
static void equal_contents_in_every_role(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	static const char *const more[] = {
		NULL,
		"shared_dir=a",
		"shared_dir=d",
		"shared_file=b",
		"generated=a",
		"generated=d",
		"shared_dir=a generated=b",
		"shared_dir=b generated=a",
		"shared_dir=c generated=d shared_file=a",
	};
	struct world *w = *state;
	struct client *c = &w->c;
	unsigned number = 0;

	client_start(c, w->place, NULL);
	assert_int_equal(client_lease(c, NULL), MSG_READY);
	for (size_t m = 0; m < ARRAY_LEN(more); m++)
		for (unsigned turn = 0; turn < 4; turn++) {
			char content[32];
			snprintf(content, sizeof(content), "same-%zu-%u", m, turn);
			struct item items[] = {
				{.path = names[turn % 4], .content = content},
				{.path = names[(turn + 1) % 4], .link = content},
				{.path = names[(turn + 2) % 4], .content = content, .executable = true},
				{.path = names[(turn + 3) % 4], .link = content},
				{0},
			};
			/* shared_dir over a file covers it and puts a folder in its place. */
			char deployment[16], extra[128];
			snprintf(deployment, sizeof(deployment), "e%u", ++number);
			snprintf(extra, sizeof(extra), "%s", more[m] ? more[m] : "");
			if (strstr(extra, "shared_file=a") && items[(4 - turn) % 4].link)
				continue;
			if (strstr(extra, "shared_file=b") && items[(5 - turn) % 4].link)
				continue;
			if (client_prepare(c, deployment, items, *extra ? extra : NULL) != MSG_PREPARED)
				fail_msg("%s, turn %u: %s", extra, turn, client_get(c, "text"));
			const char *at = arena_printf(&w->arena, "releases/%s/", client_get(c, "name"));
			for (size_t i = 0; i < 4; i++) {
				const char *path = arena_printf(&w->arena, "%s%s", at, items[i].path);
				struct stat st = stat_at(w, path);
				if (strstr(extra, arena_printf(&w->arena, "shared_dir=%s", items[i].path)) ||
				    strstr(extra, arena_printf(&w->arena, "shared_file=%s", items[i].path))) {
					assert_true(S_ISLNK(st.st_mode));
					/* What no activation shows is kept for fetching back. */
					struct digest digest;
					char hex[DIGEST_HEX_LEN + 1];
					digest_of(slice_of(content), &digest);
					digest_to_hex(&digest, hex);
					assert_text(w, arena_printf(&w->arena, ".lockstep/objects/%s", hex),
						    content);
				} else if (items[i].link) {
					assert_true(S_ISLNK(st.st_mode));
					assert_int_equal(st.st_size, (off_t)strlen(content));
				} else {
					assert_text(w, path, content);
					assert_int_equal(st.st_mode & 07777,
							 items[i].executable ? 0755 : 0644);
					if (strstr(extra,
						   arena_printf(&w->arena, "generated=%s", items[i].path)))
						assert_int_equal(st.st_nlink, 1);
				}
			}
			assert_answer(c, MSG_DONE, client_ask(c, MSG_ABANDON, "deployment=%s", deployment));
			struct err err = ERR_INIT;
			for (size_t i = 0; i < 4; i++)
				assert_int_equal(tree_remove_at(AT_FDCWD,
								arena_printf(&w->arena, "%s/shared/%s",
									     w->place, names[i]),
								&err),
						 0);
		}
	assert_true(number > 20);
	client_end(c);
}

static const struct item with_storage[] = {
	{.path = "app.txt", .content = "app"},
	{.path = "config.ini", .content = "default"},
	{.path = "storage/logs/.keep", .content = ""},
	{.path = "storage/seed.txt", .content = "seed"},
	{.path = "storage/seed-link", .link = "seed.txt"},
	{0},
};

static void shared_folders_begin_with_what_the_release_has(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", with_storage, "shared_dir=storage shared_file=config.ini");
	assert_text(w, "shared/storage/seed.txt", "seed");
	assert_text(w, "current/storage/seed-link", "seed");
	assert_text(w, "shared/config.ini", "default");
	/* Later releases leave it alone. */
	write_at(w->place, "shared/storage/seed.txt", "mine");
	write_at(w->place, "shared/config.ini", "mine too");
	client_deploy(c, "d2", with_storage, "shared_dir=storage shared_file=config.ini commit_time=5");
	assert_text(w, "current/storage/seed.txt", "mine");
	assert_text(w, "current/config.ini", "mine too");
	assert_int_equal(client_ask(c, MSG_SCAN, "deep=1"), MSG_SCANNED);
	assert_int_equal(client_get_u64(c, "edits"), 0);
	client_end(c);
}

static void a_shared_folder_is_seeded_whole_or_not_at_all(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, "agent.seed.entry=fail:2");
	assert_int_equal(client_lease(c, NULL), MSG_READY);
	assert_refused(c, ERR_INTERNAL, client_prepare(c, "d1", with_storage, "shared_dir=storage"));
	assert_absent(w, "shared/storage");
	assert_int_equal(client_ask(c, MSG_ABANDON, "deployment=d1"), MSG_DONE);
	client_deploy(c, "d2", with_storage, "shared_dir=storage");
	assert_text(w, "shared/storage/seed.txt", "seed");
	assert_text(w, "current/storage/seed-link", "seed");
	client_end(c);
}

static void a_shared_file_that_is_nowhere_is_refused(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	assert_int_equal(client_lease(c, NULL), MSG_READY);
	assert_refused(c, ERR_NOT_FOUND, client_prepare(c, "d1", one, "shared_file=.env"));
	assert_int_equal(client_ask(c, MSG_ABANDON, "deployment=d1"), MSG_DONE);
	write_at(w->place, "shared/.env", "KEY=1");
	client_deploy(c, "d2", one, "shared_file=.env");
	assert_text(w, "current/.env", "KEY=1");
	client_end(c);
}

/* --- edits ------------------------------------------------------------------------ */

static void hand_edits_are_reported_kept_aside_and_not_carried_on(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	write_at(w->place, "current/lib/a.txt", "edited by hand!!");
	write_at(w->place, "current/new.txt", "added");
	c->edits = 0;
	assert_int_equal(client_ask(c, MSG_SCAN, "deep=0"), MSG_SCANNED);
	assert_int_equal(c->edits, 2);
	client_deploy(c, "d2", two, NULL);
	assert_int_equal(c->edits, 4);
	assert_text(w, "current/lib/a.txt", "the same in both");
	assert_text(w, ".lockstep/aside/d2/lib/a.txt", "edited by hand!!");
	assert_text(w, ".lockstep/aside/d2/new.txt", "added");
	assert_absent(w, "current/new.txt");
	client_end(c);
}

static void change_last_byte(const char *path, char byte)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0 && lseek(fd, -1, SEEK_END) >= 0);
	assert_int_equal(write(fd, &byte, 1), 1);
	close(fd);
}

/* Of sizes around those of the pieces it is read in. */
static void a_deep_look_reads_every_file_to_its_end(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	static const size_t sizes[] = {1, 4096, 65535, 65536, 65537, 131072, 200000};
	struct item items[ARRAY_LEN(sizes) + 2] = {{.path = "empty", .content = ""}};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char *content = arena_alloc(&w->arena, sizes[i] + 1);
		memset(content, 'x', sizes[i]);
		items[i + 1] = (struct item){.path = arena_printf(&w->arena, "file-%zu", sizes[i]), .content = content};
	}
	client_start(c, w->place, NULL);
	client_deploy(c, "d1", items, NULL);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		const char *path = path_at(&w->arena, w->place, arena_printf(&w->arena, "current/%s", items[i + 1].path));
		change_last_byte(path, 'y');
		assert_answer(c, MSG_SCANNED, client_ask(c, MSG_SCAN, "deep=1"));
		assert_int_equal(client_get_u64(c, "hashed"), ARRAY_LEN(sizes) + 1);
		assert_int_equal(client_get_u64(c, "edits"), 1);
		assert_string_equal(c->edit_path, items[i + 1].path);
		assert_string_equal(c->edit_kind, "changed");
		change_last_byte(path, 'x');
		assert_int_equal(truncate(path, (off_t)sizes[i] + 1), 0);
		assert_answer(c, MSG_SCANNED, client_ask(c, MSG_SCAN, "deep=1"));
		assert_int_equal(client_get_u64(c, "edits"), 1);
		assert_int_equal(truncate(path, (off_t)sizes[i]), 0);
		assert_answer(c, MSG_SCANNED, client_ask(c, MSG_SCAN, "deep=1"));
		assert_int_equal(client_get_u64(c, "edits"), 0);
	}
	client_end(c);
}

static void a_rollback_heals_what_an_edit_in_place_spoiled(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	struct timespec times[2];

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	const char *first = arena_strdup(&w->arena, c->live);
	client_deploy(c, "d2", two, NULL);
	/* Both activations share this inode; the edit hides its time. */
	struct stat st = stat_at(w, "current/lib/a.txt");
	write_at(w->place, "current/lib/a.txt", "THE SAME IN BOTH");
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(utimensat(AT_FDCWD, path_at(&w->arena, w->place, "current/lib/a.txt"), times, 0), 0);
	client_deploy(c, "d3", one, arena_printf(&w->arena, "from=%s", first));
	assert_text(w, "current/lib/a.txt", "the same in both");
	assert_text(w, "current/index.html", "one");
	assert_int_equal(client_ask(c, MSG_SCAN, "deep=1"), MSG_SCANNED);
	assert_int_equal(client_get_u64(c, "edits"), 0);
	client_end(c);
}

/* --- refusals ---------------------------------------------------------------------- */

static void a_refused_offer_ends_the_request_not_the_conversation(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	struct manifest manifest = release_of(&w->arena, one);

	client_start(c, w->place, NULL);
	assert_int_equal(client_lease(c, NULL), MSG_READY);
	assert_refused(c, ERR_CONFLICT, client_prepare(c, "d0", one, "expect=000009-3fa9c1d20b7e"));
	assert_int_equal(client_ask(c, MSG_ABANDON, "deployment=d0"), MSG_DONE);
	/* A manifest that is another release's. */
	char hex[DIGEST_HEX_LEN + 1];
	struct manifest other = release_of(&w->arena, two);
	digest_to_hex(&other.digest, hex);
	client_send(c, MSG_PREPARE, "deployment=d1 release=%s expect= manifest_bytes=%zu", hex,
		    manifest.bytes.len);
	client_send_bytes(c, MSG_MANIFEST_DATA, SLICE("this is not even zstd"));
	client_send_bytes(c, MSG_OBJECT_DATA, SLICE("and this is under way already"));
	assert_refused(c, ERR_USER, client_ask(c, MSG_OFFERED, "o=1"));
	/* It began: only ABANDON opens the place again. */
	assert_refused(c, ERR_CONFLICT, client_prepare(c, "d2", one, NULL));
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_ACTIVATE, "deployment=d1 expect="));
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_ABANDON, "deployment=d2"));
	assert_int_equal(client_ask(c, MSG_ABANDON, "deployment=d1"), MSG_DONE);
	assert_int_equal(client_ask(c, MSG_ABANDON, "deployment=d1"), MSG_DONE);
	client_deploy(c, "d2", one, NULL);
	client_end(c);
	assert_text(w, "current/index.html", "one");
}

static void objects_that_never_come_right_end_in_a_refusal(void **state)
{
	static const struct item right[] = {{.path = "index.html", .content = "right"}, {0}};
	struct world *w = *state;
	struct client *c = &w->c;
	struct manifest manifest = release_of(&w->arena, right);
	AUTO(buf_free) struct buf packed = BUF_INIT(4096);
	struct err err = ERR_INIT;
	char hex[DIGEST_HEX_LEN + 1];
	uint8_t type;
	int rounds = 0;

	client_start(c, w->place, NULL);
	assert_int_equal(client_lease(c, NULL), MSG_READY);
	digest_to_hex(&manifest.digest, hex);
	client_send(c, MSG_PREPARE, "deployment=d1 release=%s expect= manifest_bytes=%zu", hex,
		    manifest.bytes.len);
	assert_int_equal(compress_all(1, slice_make(NULL, 0), manifest.bytes, &packed, &err), 0);
	client_send_bytes(c, MSG_MANIFEST_DATA, buf_slice(&packed));
	struct object_header header = {.kind = OBJECT_PLAIN, .length = 5};
	digest_of(SLICE("right"), &header.digest);
	do {
		AUTO(buf_free) struct buf object = BUF_INIT(4096);
		AUTO(buf_free) struct buf data = BUF_INIT(4096);
		object_header_put(&object, &header);
		buf_puts(&object, "WRONG.");
		assert_int_equal(compress_all(1, slice_make(NULL, 0), buf_slice(&object), &data, &err), 0);
		client_send_bytes(c, MSG_OBJECT_DATA, buf_slice(&data));
		client_send(c, MSG_OFFERED, "o=1");
		while ((type = client_take(c)) == MSG_NEED)
			continue;
	} while (type == MSG_LACKING && rounds++ < 20);
	assert_int_equal(type, MSG_REFUSED);
	assert_int_equal(client_ask(c, MSG_ABANDON, "deployment=d1"), MSG_DONE);
	client_end(c);
	assert_absent(w, "current");
}

static void requests_without_a_deployment_change_nothing(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_ACTIVATE, "deployment= expect=%s", c->live));
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_ACTIVATE, "deployment=d9 expect=%s", c->live));
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_REVERT, "deployment="));
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_DECIDE, "deployment= decision=commit"));
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_RECORD, "event=verified deployment="));
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_ABANDON, "deployment=d1 epoch=99"));
	client_send(c, MSG_PREPARE, "deployment= release=%064d expect=%s", 0, c->live);
	assert_refused(c, ERR_USER, client_ask(c, MSG_OFFERED, "o=1"));
	assert_string_equal(current_of(&w->arena, w->place), arena_printf(&w->arena, "releases/%s", c->live));
	client_end(c);
}

static void an_activation_is_decided_first_and_not_after_it_was_taken_back(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	assert_answer(c, MSG_PREPARED, client_prepare(c, "d2", two, NULL));
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_ACTIVATE, "deployment=d2 expect=%s", c->live));
	assert_refused(c, ERR_CONFLICT,
		       client_ask(c, MSG_RECORD, "event=verified deployment=d2 receipt=none"));
	assert_int_equal(client_ask(c, MSG_DECIDE, "deployment=d2 decision=commit"), MSG_DONE);
	assert_int_equal(client_ask(c, MSG_DECIDE, "deployment=d2 decision=commit"), MSG_DONE);
	assert_answer(c, MSG_ACTIVATED, client_ask(c, MSG_ACTIVATE, "deployment=d2 expect=%s", c->live));
	assert_answer(c, MSG_ACTIVATED, client_ask(c, MSG_ACTIVATE, "deployment=d2 expect=%s", c->live));
	/* Live: neither abandoned nor recorded as gone. */
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_ABANDON, "deployment=d2"));
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_RECORD, "event=restored deployment=d2"));
	assert_int_equal(client_ask(c, MSG_DECIDE, "deployment=d2 decision=go-back why=test"), MSG_DONE);
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_DECIDE, "deployment=d2 decision=commit"));
	assert_int_equal(client_ask(c, MSG_REVERT, "deployment=d2"), MSG_ACTIVATED);
	assert_string_equal(client_get(c, "name"), c->live);
	assert_int_equal(client_ask(c, MSG_REVERT, "deployment=d2"), MSG_ACTIVATED);
	assert_text(w, "current/index.html", "one");
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_ACTIVATE, "deployment=d2 expect=%s", c->live));
	assert_text(w, "current/index.html", "one");
	assert_int_equal(client_ask(c, MSG_RECORD, "event=failed deployment=d2 why=test"), MSG_DONE);
	client_deploy(c, "d3", two, NULL);
	assert_text(w, "current/index.html", "two");
	client_end(c);
}

static void going_back_to_what_was_not_ours(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	/* To nothing. */
	client_start(c, w->place, NULL);
	assert_int_equal(client_lease(c, NULL), MSG_READY);
	assert_answer(c, MSG_PREPARED, client_prepare(c, "d1", one, NULL));
	assert_int_equal(client_ask(c, MSG_DECIDE, "deployment=d1 decision=commit"), MSG_DONE);
	assert_int_equal(client_ask(c, MSG_ACTIVATE, "deployment=d1 expect="), MSG_ACTIVATED);
	assert_int_equal(client_ask(c, MSG_REVERT, "deployment=d1"), MSG_ACTIVATED);
	assert_string_equal(client_get(c, "name"), "");
	assert_string_equal(current_of(&w->arena, w->place), "");
	assert_int_equal(client_ask(c, MSG_RECORD, "event=failed deployment=d1"), MSG_DONE);
	/* To a Capistrano release. */
	write_at(w->place, "releases/20240101120000/index.html", "old tool");
	assert_int_equal(symlink("releases/20240101120000", path_at(&w->arena, w->place, "current")), 0);
	assert_answer(c, MSG_PREPARED, client_prepare(c, "d2", one, "expect="));
	assert_int_equal(client_ask(c, MSG_DECIDE, "deployment=d2 decision=commit"), MSG_DONE);
	assert_answer(c, MSG_ACTIVATED, client_ask(c, MSG_ACTIVATE, "deployment=d2 expect="));
	assert_text(w, "current/index.html", "one");
	assert_int_equal(client_ask(c, MSG_REVERT, "deployment=d2"), MSG_ACTIVATED);
	assert_text(w, "current/index.html", "old tool");
	assert_int_equal(client_ask(c, MSG_RECORD, "event=failed deployment=d2"), MSG_DONE);
	/* Somebody switched by hand: neither way is ours to go. */
	assert_answer(c, MSG_PREPARED, client_prepare(c, "d3", one, "expect="));
	assert_int_equal(client_ask(c, MSG_DECIDE, "deployment=d3 decision=commit"), MSG_DONE);
	write_at(w->place, "other/index.html", "by hand");
	unlink(path_at(&w->arena, w->place, "current"));
	assert_int_equal(symlink("other", path_at(&w->arena, w->place, "current")), 0);
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_ACTIVATE, "deployment=d3 expect="));
	assert_refused(c, ERR_CONFLICT, client_ask(c, MSG_REVERT, "deployment=d3"));
	assert_text(w, "current/index.html", "by hand");
	assert_int_equal(client_ask(c, MSG_ABANDON, "deployment=d3"), MSG_DONE);
	client_end(c);
}

static void going_back_to_what_is_gone_is_refused(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	struct err err = ERR_INIT;

	client_start(c, w->place, NULL);
	client_deploy(c, "d1", one, NULL);
	const char *old = arena_printf(&w->arena, "%s/releases/%s", w->place, c->live);
	assert_answer(c, MSG_PREPARED, client_prepare(c, "d2", two, NULL));
	assert_int_equal(client_ask(c, MSG_DECIDE, "deployment=d2 decision=commit"), MSG_DONE);
	assert_int_equal(client_ask(c, MSG_ACTIVATE, "deployment=d2 expect=%s", c->live), MSG_ACTIVATED);
	assert_int_equal(tree_remove_at(AT_FDCWD, old, &err), 0);
	assert_refused(c, ERR_NOT_FOUND, client_ask(c, MSG_REVERT, "deployment=d2"));
	assert_text(w, "current/index.html", "two");
	client_end(c);
}

static void a_current_that_is_no_link_is_in_the_way(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	write_at(w->place, "current/index.html", "a folder");
	client_start(c, w->place, NULL);
	assert_int_equal(client_lease(c, NULL), MSG_READY);
	assert_refused(c, ERR_CONFLICT, client_prepare(c, "d1", one, NULL));
	client_end(c);
	assert_text(w, "current/index.html", "a folder");
}

/* --- pruning -------------------------------------------------------------------------- */

static size_t count_in(struct world *w, const char *folder)
{
	const char *names = arena_printf(&w->arena, "ls -A %s/%s | wc -l", w->place, folder);
	FILE *out = popen(names, "r");
	size_t count = 0;

	assert_non_null(out);
	assert_int_equal(fscanf(out, "%zu", &count), 1);
	pclose(out);
	return count;
}

static void pruning_keeps_what_its_rules_say(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	const char *names[12];
	char text[16];
	struct item items[] = {{.path = "n", .content = text},
			       {.path = "same", .content = "same"},
			       {.path = "box/n", .content = text},
			       {0}};

	client_start(c, w->place, NULL);
	for (int i = 0; i < 6; i++) {
		snprintf(text, sizeof(text), "%d", i);
		client_deploy(c, arena_printf(&w->arena, "d%d", i), items, "shared_dir=box");
		names[i] = arena_strdup(&w->arena, c->live);
	}
	/* Three that failed, newer than any good one. */
	for (int i = 6; i < 9; i++) {
		snprintf(text, sizeof(text), "%d", i);
		const char *deployment = arena_printf(&w->arena, "d%d", i);
		assert_answer(c, MSG_PREPARED, client_prepare(c, deployment, items, "shared_dir=box"));
		names[i] = arena_strdup(&w->arena, client_get(c, "name"));
		assert_int_equal(client_ask(c, MSG_RECORD, "event=failed deployment=%s", deployment),
				 MSG_DONE);
	}
	/* One that is prepared, and one of somebody else's. */
	assert_answer(c, MSG_PREPARED, client_prepare(c, "d9", items, "shared_dir=box"));
	names[9] = arena_strdup(&w->arena, client_get(c, "name"));
	write_at(w->place, "releases/000000-abcdefabcdef/x", "by hand");
	write_at(w->place, "releases/20240101120000/x", "capistrano");
	/* Read-only, as some builds leave it. */
	chmod(path_at(&w->arena, w->place, arena_printf(&w->arena, "releases/%s", names[0])), 0555);

	assert_answer(c, MSG_PRUNED, client_ask(c, MSG_PRUNE, "keep=2"));
	static const bool stays[] = {false, false, false, false, true, true, false, true, true, true};
	for (size_t i = 0; i < ARRAY_LEN(stays); i++) {
		const char *path = arena_printf(&w->arena, "%s/releases/%s", w->place, names[i]);
		const char *own = arena_printf(&w->arena, "%s/.lockstep/manifests/%s", w->place, names[i]);
		if ((access(path, F_OK) == 0) != stays[i] || (access(own, F_OK) == 0) != stays[i])
			fail_msg("activation %zu %s", i, stays[i] ? "is gone" : "is still there");
	}
	assert_text(w, "releases/000000-abcdefabcdef/x", "by hand");
	assert_text(w, "releases/20240101120000/x", "capistrano");
	assert_int_equal(count_in(w, ".lockstep/trash"), 0);
	/* One object for each that stays; the last two are the same release. */
	assert_int_equal(count_in(w, ".lockstep/objects"), 4);
	assert_text(w, "current/n", "5");
	/* What it kept is still trusted without reading it. */
	assert_int_equal(client_ask(c, MSG_SCAN, "deep=0"), MSG_SCANNED);
	assert_int_equal(client_get_u64(c, "hashed"), 0);
	assert_int_equal(client_get_u64(c, "edits"), 0);
	client_end(c);
}

static void the_way_back_is_kept_also_behind_a_live_one_that_is_older(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;
	const char *names[4];
	char text[16];
	struct item items[] = {{.path = "n", .content = text}, {0}};

	client_start(c, w->place, NULL);
	for (int i = 0; i < 4; i++) {
		snprintf(text, sizeof(text), "%d", i);
		client_deploy(c, arena_printf(&w->arena, "d%d", i), items, NULL);
		names[i] = arena_strdup(&w->arena, c->live);
	}
	/* Somebody went back by hand, with ln. */
	unlink(path_at(&w->arena, w->place, "current"));
	assert_int_equal(symlink(arena_printf(&w->arena, "releases/%s", names[1]),
				 path_at(&w->arena, w->place, "current")),
			 0);
	assert_answer(c, MSG_PRUNED, client_ask(c, MSG_PRUNE, "keep=1"));
	assert_text(w, "current/n", "1");
	assert_int_equal(access(arena_printf(&w->arena, "%s/releases/%s", w->place, names[0]), F_OK), 0);
	client_end(c);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(the_first_deployment_makes_everything),
		T(the_second_deployment_brings_only_what_changed),
		T(link_copy_shares_nothing),
		T(any_name_that_a_release_may_have_works),
		T(equal_contents_in_every_role),
		T(shared_folders_begin_with_what_the_release_has),
		T(a_shared_folder_is_seeded_whole_or_not_at_all),
		T(a_shared_file_that_is_nowhere_is_refused),
		T(hand_edits_are_reported_kept_aside_and_not_carried_on),
		T(a_deep_look_reads_every_file_to_its_end),
		T(a_rollback_heals_what_an_edit_in_place_spoiled),
		T(a_refused_offer_ends_the_request_not_the_conversation),
		T(objects_that_never_come_right_end_in_a_refusal),
		T(requests_without_a_deployment_change_nothing),
		T(an_activation_is_decided_first_and_not_after_it_was_taken_back),
		T(going_back_to_what_was_not_ours),
		T(going_back_to_what_is_gone_is_refused),
		T(a_current_that_is_no_link_is_in_the_way),
		T(pruning_keeps_what_its_rules_say),
		T(the_way_back_is_kept_also_behind_a_live_one_that_is_older),
	};
	return cmocka_run_group_tests_name("deploy", tests, NULL, NULL);
}
