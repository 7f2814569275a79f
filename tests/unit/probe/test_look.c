/* The probes file, env, net and container against real folders, processes and sockets: each
 * test makes a place of its own, runs the probe as the agent does, and reads the snapshot. */
#include "probe/probe.h"

#include "base/child.h"
#include "base/fd.h"
#include "base/random.h"
#include "codec/digest.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LIVE "releases/000007-0123456789ab"

struct look {
	char dir[64], live[160];
	struct probe_request request;
	struct buf snapshot;
	struct arena arena;
};

static void put(struct look *look, const char *path, const char *content)
{
	char full[300];
	struct err err = ERR_INIT;

	snprintf(full, sizeof(full), "%s/%s", look->dir, path);
	char *slash = strrchr(full, '/');
	*slash = '\0';
	assert_int_equal(dir_make_at(AT_FDCWD, full, 0755, &err), 0);
	*slash = '/';
	FILE *file = fopen(full, "w");
	assert_non_null(file);
	fputs(content, file);
	fclose(file);
	assert_int_equal(chmod(full, 0644), 0);
}

static const char *at(struct look *look, const char *path)
{
	return arena_printf(&look->arena, "%s/%s", look->dir, path);
}

static void begin(struct look *look)
{
	*look = (struct look){.snapshot = BUF_INIT(MIB(32))};
	/* In memory where there is such a folder: a disk may need a millisecond a file. */
	strcpy(look->dir,
	       access("/dev/shm", W_OK) == 0 ? "/dev/shm/lockstep-look-XXXXXX" : "/tmp/lockstep-look-XXXXXX");
	assert_non_null(mkdtemp(look->dir));
	assert_int_equal(chmod(look->dir, 0755), 0);
	snprintf(look->live, sizeof(look->live), "%s/" LIVE, look->dir);
	put(look, LIVE "/index.php", "<?php\n");
	look->request = (struct probe_request){.place = look->dir, .live = look->live};
	look->request.place_fd = open(look->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	look->request.live_fd = open(look->live, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	memset(look->request.run_key, 7, DIGEST_LEN);
}

static void end(struct look *look)
{
	struct err err = ERR_INIT;

	close_fd(&look->request.place_fd);
	close_fd(&look->request.live_fd);
	assert_int_equal(tree_remove_at(AT_FDCWD, look->dir, &err), 0);
	buf_free(&look->snapshot);
	arena_free(&look->arena);
}

static int take(void *context, struct slice bytes, struct err *err)
{
	struct look *look = context;

	(void)err;
	buf_put_slice(&look->snapshot, bytes);
	return 0;
}

static void see(struct look *look, const char *dimension)
{
	bool which[32] = {false};
	struct fact_writer writer;
	struct err err = ERR_INIT;

	for (size_t i = 0; probes[i]; i++)
		which[i] = strcmp(probes[i]->dimension, dimension) == 0;
	buf_clear(&look->snapshot);
	fact_writer_init(&writer, take, look);
	assert_int_equal(probe_all(&look->request, which, &writer, NULL, NULL, &err), 0);
	assert_int_equal(fact_writer_end(&writer, &err), 0);
	fact_writer_free(&writer);
}

/* "text 0644", "evidence …", "hmac present"; NULL: no such fact. */
static const char *fact(struct look *look, const char *key)
{
	AUTO(fact_reader_free) struct fact_reader *reader = fact_reader_of_bytes(buf_slice(&look->snapshot));
	const char *found = NULL;
	struct err err = ERR_INIT;
	struct fact seen;
	int result;

	while ((result = fact_next(reader, &seen, &err)) > 0) {
		AUTO(buf_free) struct buf value = BUF_INIT(MIB(1));
		if (!slice_is(seen.key, key))
			continue;
		fact_put_value(&value, &seen);
		found = arena_printf(&look->arena, "%s %s",
				     seen.evidence ? "evidence" : fact_kind_name(seen.kind), buf_str(&value));
	}
	assert_int_equal(result, 0);
	return found;
}

static void assert_fact(struct look *look, const char *key, const char *expected)
{
	const char *found = fact(look, key);

	if (!found || strcmp(found, expected) != 0)
		fail_msg("%s is \"%s\", not \"%s\"", key, found ? found : "missing", expected);
}

static void assert_fact_is_like(struct look *look, const char *key, const char *pattern)
{
	const char *found = fact(look, key);

	if (!found || !slice_glob_match(slice_of(pattern), slice_of(found)))
		fail_msg("%s is \"%s\", not like \"%s\"", key, found ? found : "missing", pattern);
}

static bool holds(const struct look *look, const char *text)
{
	return memmem(look->snapshot.ptr, look->snapshot.len, text, strlen(text)) != NULL;
}

static const char *digest_fact(struct look *look, const char *content)
{
	struct digest digest;
	char hex[DIGEST_HEX_LEN + 1];

	digest_of(slice_of(content), &digest);
	digest_to_hex(&digest, hex);
	return arena_printf(&look->arena, "digest %.12s", hex);
}

/* ---- file ---- */

static void every_file_of_the_release_is_told(void **state)
{
	struct look look;

	(void)state;
	begin(&look);
	put(&look, LIVE "/app/Pay.php", "pay");
	put(&look, LIVE "/app.b", "b");
	put(&look, LIVE "/bin/run", "#!/bin/sh\n");
	chmod(at(&look, LIVE "/bin/run"), 0750);
	assert_int_equal(symlink("../app/Pay.php", at(&look, LIVE "/bin/link")), 0);
	see(&look, "file");
	assert_fact(&look, "file/app/Pay.php/content", digest_fact(&look, "pay"));
	assert_fact(&look, "file/app.b/content", digest_fact(&look, "b"));
	assert_fact(&look, "file/app/Pay.php/mode", "text 0644");
	assert_fact(&look, "file/bin/run/mode", "text 0750");
	assert_fact(&look, "file/bin/mode", "text 0755");
	assert_fact(&look, "file/bin/link/link", "text ../app/Pay.php");
	assert_fact_is_like(&look, "file/app/Pay.php/owner", "text ?*:?*");
	assert_fact_is_like(&look, "file/app/Pay.php/modified", "evidence 20*-*-*T*:*:*Z");
	assert_null(fact(&look, "file/bin/link/content"));
	assert_null(fact(&look, "file/app/Pay.php/edited"));
	end(&look);
}

static void what_the_application_writes_and_git_keeps_is_not_looked_at(void **state)
{
	static const char *const generated[] = {"bootstrap/cache", "storage/"};
	struct look look;

	(void)state;
	begin(&look);
	put(&look, LIVE "/bootstrap/cache/x.php", "x");
	put(&look, LIVE "/bootstrap/app.php", "x");
	put(&look, LIVE "/bootstrap/cached.php", "x");
	put(&look, LIVE "/storage/y", "x");
	put(&look, LIVE "/.git/HEAD", "x");
	look.request.generated = generated;
	look.request.generated_count = 2;
	see(&look, "file");
	assert_false(holds(&look, "storage"));
	assert_false(holds(&look, ".git"));
	assert_null(fact(&look, "file/bootstrap/cache/x.php/content"));
	assert_non_null(fact(&look, "file/bootstrap/app.php/content"));
	assert_non_null(fact(&look, "file/bootstrap/cached.php/content"));
	end(&look);
}

static void what_may_be_secret_is_only_fingerprinted(void **state)
{
	static const char *const rendered[] = {"config/live.php"};
	struct look look;

	(void)state;
	begin(&look);
	put(&look, LIVE "/config/live.php", "rendered-secret");
	put(&look, LIVE "/.env", "A=env-secret");
	put(&look, LIVE "/tls/site.key", "key-secret");
	put(&look, "shared/config/database.yml", "password: shared-secret");
	put(&look, "shared/uploads/a.json", "{}");
	put(&look, "shared/photo.jpg", "jpg");
	look.request.rendered = rendered;
	look.request.rendered_count = 1;
	see(&look, "file");
	assert_fact(&look, "file/config/live.php/content", "hmac present");
	assert_fact(&look, "file/.env/content", "hmac present");
	assert_fact(&look, "file/tls/site.key/content", "hmac present");
	assert_fact(&look, "file/shared/config/database.yml/content", "hmac present");
	assert_null(fact(&look, "file/shared/uploads/a.json/content"));
	assert_null(fact(&look, "file/shared/photo.jpg/content"));
	assert_false(holds(&look, "secret"));
	/* Nor by a digest that could be looked up. */
	struct digest digest;
	digest_of(SLICE("key-secret"), &digest);
	assert_null(memmem(look.snapshot.ptr, look.snapshot.len, digest.bytes, DIGEST_LEN));
	end(&look);
}

static void put_manifest(struct look *look, const char *text_of_files, const char *const *files, size_t count)
{
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(1));
	char hex[DIGEST_HEX_LEN + 1];
	struct digest digest;
	struct err err = ERR_INIT;

	digest_of(slice_of(text_of_files), &digest);
	digest_to_hex(&digest, hex);
	buf_printf(&text, "lockstep-activation 1 %s\n", hex);
	for (size_t i = 0; i < count; i++) {
		buf_printf(&text, "%c %c 0644 4 %s 0 0 %d 0 0 %s", files[i][0], files[i][1],
			   files[i][1] == 'd' ? "-" : hex, files[i][1] == 'd' ? 0755 : 0644, files[i] + 3);
		buf_putc(&text, '\0');
	}
	assert_int_equal(dir_make_at(AT_FDCWD, at(look, ".lockstep/manifests"), 0700, &err), 0);
	assert_int_equal(file_replace_at(AT_FDCWD, at(look, ".lockstep/manifests/000007-0123456789ab"),
					 buf_slice(&text), 0600, &err),
			 0);
}

static void hand_edits_are_told_with_time_and_owner(void **state)
{
	static const char *const files[] = {"td app",	   "tf app.b",	     "tf app/a.php", "tf app/b.php",
					    "gd cache",	   "gf cache/x.php", "tf gone.php",  "tf index.php",
					    "tf mode.php", "cf uploads/x"};
	static const char *const generated[] = {"cache"};
	struct look look;

	(void)state;
	begin(&look);
	put(&look, LIVE "/index.php", "same");
	put(&look, LIVE "/app/a.php", "same");
	put(&look, LIVE "/app/b.php", "edited");
	put(&look, LIVE "/app.b", "same");
	put(&look, LIVE "/added.php", "same");
	put(&look, LIVE "/mode.php", "same");
	chmod(at(&look, LIVE "/mode.php"), 0600);
	put_manifest(&look, "same", files, ARRAY_LEN(files));
	look.request.generated = generated;
	look.request.generated_count = 1;
	see(&look, "file");
	assert_null(fact(&look, "file/index.php/edited"));
	assert_null(fact(&look, "file/index.php/modified"));
	assert_non_null(fact(&look, "file/app/b.php/modified"));
	assert_null(fact(&look, "file/app/a.php/edited"));
	assert_null(fact(&look, "file/app.b/edited"));
	assert_null(fact(&look, "file/cache/x.php/edited"));
	assert_null(fact(&look, "file/uploads/x/edited"));
	assert_fact_is_like(&look, "file/app/b.php/edited", "evidence edited ?* ??:?? UTC, owner ?*");
	assert_fact_is_like(&look, "file/added.php/edited", "evidence added ?* ??:?? UTC, owner ?*");
	assert_fact_is_like(&look, "file/mode.php/edited",
			    "evidence mode changed from 0644 to 0600 ?* UTC, owner ?*");
	assert_fact(&look, "file/gone.php/edited", "evidence removed since it was deployed");
	end(&look);
}

static void a_damaged_manifest_costs_only_the_hand_edits(void **state)
{
	struct look look;

	(void)state;
	begin(&look);
	put(&look, ".lockstep/manifests/000007-0123456789ab", "lockstep-activation 1 x\ngarbage");
	see(&look, "file");
	assert_fact(&look, "file/index.php/content", digest_fact(&look, "<?php\n"));
	end(&look);
}

static void equal_places_give_equal_facts(void **state)
{
	struct look look[2];
	struct buf seen[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin(&look[i]);
		put(&look[i], LIVE "/a/b", "c");
		put(&look[i], LIVE "/.env", "A=1");
		seen[i] = BUF_INIT(MIB(1));
		see(&look[i], "file");
		AUTO(fact_reader_free)
		struct fact_reader *reader = fact_reader_of_bytes(buf_slice(&look[i].snapshot));
		struct err err = ERR_INIT;
		struct fact got;
		while (fact_next(reader, &got, &err) > 0)
			if (!got.evidence) {
				buf_put_slice(&seen[i], got.key);
				buf_put_slice(&seen[i], got.value);
			}
		end(&look[i]);
	}
	assert_true(seen[0].len > 100);
	assert_true(slice_equal(buf_slice(&seen[0]), buf_slice(&seen[1])));
	buf_free(&seen[0]);
	buf_free(&seen[1]);
}

static void listed_paths_are_looked_at_wherever_they_lie(void **state)
{
	struct look look;

	(void)state;
	begin(&look);
	put(&look, "nginx/sites/shop.conf", "server {}");
	const char *paths[] = {at(&look, "nginx/"), "nginx/sites/shop.conf", "/nonexistent/x"};
	look.request.paths = paths;
	look.request.path_count = 3;
	see(&look, "file");
	assert_fact(&look, arena_printf(&look.arena, "file/%s/nginx/sites/shop.conf/content", look.dir),
		    digest_fact(&look, "server {}"));
	assert_fact(&look, arena_printf(&look.arena, "file/%s/nginx/mode", look.dir), "text 0755");
	assert_false(holds(&look, "nonexistent"));
	end(&look);
}

static void what_may_not_be_read_is_not_checked(void **state)
{
	struct look look;

	(void)state;
	if (geteuid() != 0)
		skip();
	begin(&look);
	put(&look, LIVE "/closed.php", "x");
	put(&look, LIVE "/closed/x.php", "x");
	chmod(at(&look, LIVE "/closed.php"), 0600);
	chmod(at(&look, LIVE "/closed"), 0700);
	assert_int_equal(seteuid(65534), 0);
	see(&look, "file");
	assert_int_equal(seteuid(0), 0);
	assert_fact_is_like(&look, "file/closed.php/content", "not_checked Permission denied*owner root*");
	assert_fact(&look, "file/closed.php/mode", "text 0600");
	assert_fact_is_like(&look, "file/closed/", "not_checked Permission denied*");
	assert_non_null(fact(&look, "file/index.php/content"));
	end(&look);
}

static void capabilities_of_a_program_are_told(void **state)
{
	/* VFS_CAP_REVISION_2 | effective; cap_net_bind_service is bit 10. */
	static const uint8_t caps[20] = {1, 0, 0, 2, 0, 4};
	struct look look;

	(void)state;
	begin(&look);
	put(&look, LIVE "/server", "x");
	chmod(at(&look, LIVE "/server"), 0755);
	if (setxattr(at(&look, LIVE "/server"), "security.capability", caps, sizeof(caps), 0) != 0) {
		end(&look);
		skip();
	}
	see(&look, "file");
	assert_fact(&look, "file/server/caps", "text net_bind_service=ep");
	end(&look);
}

/* Of a large tree only what is unusual is told beside the content, of all files alike. */
static void a_large_tree_is_told_by_content_and_what_is_unusual(void **state)
{
	static const char index[] = "DIRC\0\0\0\2\0\0\0"; /* of a checkout git has no file of */
	struct look look;
	char path[200];

	(void)state;
	begin(&look);
	put(&look, LIVE "/aa", "x");
	put(&look, LIVE "/.git/config", "[core]\n");
	FILE *file = fopen(at(&look, LIVE "/.git/index"), "w");
	assert_non_null(file);
	assert_int_equal(fwrite(index, sizeof(index), 1, file), 1);
	fclose(file);
	for (int d = 0; d < 100; d++) {
		struct err err = ERR_INIT;
		snprintf(path, sizeof(path), "%s/" LIVE "/modules-of-the-application/package-%03d/lib",
			 look.dir, d);
		assert_int_equal(dir_make_at(AT_FDCWD, path, 0755, &err), 0);
		AUTO(close_fd) int dir = open(path, O_RDONLY | O_DIRECTORY);
		for (int f = 0; f < 310; f++) {
			snprintf(path, sizeof(path), "module-with-a-name-%03d.js", f);
			assert_int_equal(mknodat(dir, path, S_IFREG | 0644, 0), 0);
		}
	}
	chmod(at(&look, LIVE "/modules-of-the-application/package-050/lib/module-with-a-name-200.js"), 0600);
	see(&look, "file");
	assert_null(fact(&look, "file/"));
	assert_fact(&look,
		    "file/modules-of-the-application/package-099/lib/module-with-a-name-309.js/content",
		    digest_fact(&look, ""));
	assert_fact(&look, "file/modules-of-the-application/package-050/lib/module-with-a-name-200.js/mode",
		    "text 0600");
	assert_null(fact(&look, "file/aa/mode"));
	assert_null(fact(&look, "file/aa/modified"));
	assert_fact(&look, "file/./put_by", "evidence git");
	assert_fact(&look, "file/./times", "evidence left out");
	end(&look);
}

/* ---- env ---- */

static pid_t start_process(struct look *look, const char *const *environment)
{
	const char *argv[] = {"/bin/sh", "-c", "echo ready; exec sleep 600", NULL};
	struct child_spec spec = {.argv = argv,
				  .env = environment,
				  .dir = look->live,
				  .stdin_fd = -1,
				  .stdout_fd = CHILD_PIPE,
				  .stderr_fd = -1,
				  .die_with_us = true};
	struct child child = CHILD_INIT;
	struct err err = ERR_INIT;
	char word[6];
	size_t len;

	assert_int_equal(child_start(&child, &spec, &err), 0);
	assert_int_equal(fd_read_full(child.stdout_fd, word, 6, &len, &err), 0);
	assert_int_equal(len, 6);
	close_fd(&child.stdout_fd);
	return child.pid;
}

static void the_file_is_held_against_the_running_process(void **state)
{
	static const char *const environment[] = {"PATH=/bin:/usr/bin",	   "SAME=hunter2-same",
						  "OTHER=hunter2-running", "EXTRA=hunter2-extra",
						  "INVOCATION_ID=1",	   NULL};
	struct look look;

	(void)state;
	begin(&look);
	put(&look, LIVE "/.env",
	    "SAME='hunter2-same'\nOTHER=hunter2-file # new\nGONE=hunter2-gone\nnonsense hunter2\n");
	pid_t pid = start_process(&look, environment);
	see(&look, "env");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_fact(&look, "env/SAME/present", "text yes");
	assert_fact(&look, "env/SAME/value", "hmac present");
	assert_fact(&look, "env/SAME/running", "text as in the file");
	assert_fact(&look, "env/OTHER/running", "text differs from the file");
	assert_fact(&look, "env/GONE/running", "text missing in the process");
	assert_fact(&look, "env/EXTRA/running", "text only in the process");
	assert_null(fact(&look, "env/EXTRA/present"));
	assert_null(fact(&look, "env/INVOCATION_ID/running"));
	assert_fact_is_like(&look, "env/.env:4/present", "not_checked line 4 of .env is not*");
	assert_false(holds(&look, "hunter2"));
	end(&look);
}

/* Another user's environment is root's to read: the reason says the line that allows it. */
static void a_process_of_another_user_is_not_checked_with_what_to_do(void **state)
{
	static const char *const environment[] = {"A=1", NULL};
	struct look look;
	int ends[2];
	char byte;

	(void)state;
	if (geteuid() != 0)
		skip();
	begin(&look);
	put(&look, LIVE "/.env", "A=1\n");
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (setgid(33) || setuid(33) || chdir("/"))
			_exit(1);
		close(ends[0]);
		execle("/bin/sleep", "sleep", "600", NULL, environment);
		_exit(1);
	}
	/* exec closes it. */
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	look.request.user = "33";
	look.request.helper = "/nonexistent";
	assert_int_equal(seteuid(65534), 0);
	see(&look, "env");
	assert_int_equal(seteuid(0), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_fact(&look, "env/A/present", "text yes");
	assert_fact_is_like(&look, "env/A/running", "not_checked *NOPASSWD: /usr/bin/cat ^/proc/*/environ$");
	end(&look);
}

static void without_a_process_that_is_said(void **state)
{
	struct look look;

	(void)state;
	begin(&look);
	put(&look, "shared/.env", "A=1\n");
	assert_int_equal(symlink(at(&look, "shared/.env"), at(&look, LIVE "/.env")), 0);
	see(&look, "env");
	assert_fact(&look, "env/A/present", "text yes");
	assert_fact(&look, "env/A/running", "not_checked no process of the application runs");
	end(&look);
}

static void a_link_out_of_the_place_is_not_followed(void **state)
{
	struct look look;

	(void)state;
	begin(&look);
	assert_int_equal(symlink("/etc/passwd", at(&look, LIVE "/.env")), 0);
	see(&look, "env");
	assert_fact_is_like(&look, "env/", "not_checked *symlink*");
	end(&look);
}

static void without_a_file_the_names_come_from_the_process(void **state)
{
	static const char *const environment[] = {"PATH=/bin:/usr/bin", "TOKEN=hunter2-0123456789abcdef",
						  NULL};
	struct look look;

	(void)state;
	begin(&look);
	pid_t pid = start_process(&look, environment);
	see(&look, "env");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_fact(&look, "env/TOKEN/present", "text yes");
	assert_fact(&look, "env/TOKEN/value", "hmac present");
	assert_null(fact(&look, "env/TOKEN/running"));
	assert_false(holds(&look, "hunter2"));
	end(&look);
}

/* ---- net, container, unit ---- */

static int listen_below(unsigned limit, unsigned *port_out, in_addr_t address)
{
	for (unsigned port = 20011; port < limit; port++) {
		struct sockaddr_in name = {
			.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = address};
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(fd, 1) == 0) {
			*port_out = port;
			return fd;
		}
		close(fd);
	}
	return -1;
}

static void listening_ports_are_told_with_who_can_reach_them(void **state)
{
	static const char *const names[] = {"localhost", "-bad"};
	struct look look;
	unsigned loopback = 0, any = 0;

	(void)state;
	begin(&look);
	AUTO(close_fd) int first = listen_below(32000, &loopback, htonl(INADDR_LOOPBACK));
	AUTO(close_fd) int second = listen_below(32000, &any, htonl(INADDR_ANY));
	assert_true(first >= 0 && second >= 0);
	look.request.names = names;
	look.request.name_count = 2;
	see(&look, "net");
	assert_fact(&look, arena_printf(&look.arena, "net/listen/tcp:%u/address", loopback), "set loopback");
	assert_fact(&look, arena_printf(&look.arena, "net/listen/tcp:%u/address", any), "set any");
	assert_fact_is_like(&look, arena_printf(&look.arena, "net/listen/tcp:%u/process", any),
			    "evidence *test_look*");
	assert_fact_is_like(&look, "net/dns/localhost/addresses", "set *1");
	assert_fact_is_like(&look, "net/dns/-bad/addresses", "not_checked *no host name");
	end(&look);
}

/* Without root it would be started by sudo. */
static void what_the_helper_prints_becomes_facts(void **state)
{
	struct look look;

	(void)state;
	if (geteuid() != 0)
		skip();
	begin(&look);
	put(&look, "facts",
	    "#!/bin/sh\n[ $# -eq 0 ] || exit 64\ncat <<'END'\n== nft\ntable inet filter {\n\tchain input {\n"
	    "\t\ttcp dport 22 counter packets 1 bytes 2 accept\n\t}\n\tchain f2b-sshd {\n\t\tdrop\n\t}\n}\n"
	    "== iptables\n*filter\n:INPUT DROP [1:2]\n-A INPUT -p tcp --dport 80 -j ACCEPT\nCOMMIT\n== "
	    "crontab deploy\n"
	    "*/5 * * * * TOKEN=hunter2 php artisan schedule:run\nEND\n");
	chmod(at(&look, "facts"), 0755);
	look.request.helper = at(&look, "facts");
	see(&look, "net");
	assert_fact(&look, "net/firewall/nft inet filter input/rules", "text tcp dport 22 counter accept");
	assert_fact(&look, "net/firewall/nft inet filter f2b-sshd/rules", "evidence drop");
	assert_fact(&look, "net/firewall/ipv4 filter INPUT/rules",
		    "text policy DROP; -p tcp --dport 80 -j ACCEPT");
	assert_null(fact(&look, "net/firewall/"));
	look.request.helper = at(&look, "nothing-there");
	assert_int_equal(seteuid(65534), 0);
	see(&look, "net");
	assert_int_equal(seteuid(0), 0);
	assert_fact_is_like(&look, "net/firewall/",
			    "not_checked needs root: install*NOPASSWD: */nothing-there \"\"");
	end(&look);
}

static void images_of_compose_files_are_told_with_how_they_are_pinned(void **state)
{
	struct look look;

	(void)state;
	begin(&look);
	put(&look, LIVE "/docker-compose.yml",
	    "services:\n  web:\n    image: acme/shop:1.2\n  db:\n    image: postgres@sha256:0a1b\n  c:\n    "
	    "image: redis\n"
	    "  d:\n    image: registry:5000/x\n  e:\n    image: x:${TAG}\n");
	see(&look, "container");
	assert_fact(&look, "container/compose:docker-compose.yml:web/image", "text acme/shop:1.2");
	assert_fact(&look, "container/compose:docker-compose.yml:web/pinned", "text by tag only");
	assert_fact(&look, "container/compose:docker-compose.yml:db/pinned", "text by digest");
	assert_fact(&look, "container/compose:docker-compose.yml:c/pinned", "text not at all");
	assert_fact(&look, "container/compose:docker-compose.yml:d/pinned", "text not at all");
	assert_fact(&look, "container/compose:docker-compose.yml:e/pinned", "text by a variable");
	assert_non_null(fact(&look, "container/host/inside"));
	end(&look);
}

static void a_unit_that_is_not_there_is_told_so(void **state)
{
	static const char *const reloads[] = {"systemd:lockstep-no-such-unit"};
	struct look look;

	(void)state;
	begin(&look);
	look.request.reloads = reloads;
	look.request.reload_count = 1;
	see(&look, "unit");
	assert_fact(&look, "unit/lockstep-no-such-unit.service/enabled", "text not installed");
	assert_non_null(fact(&look, "unit/lockstep-no-such-unit.service/active"));
	end(&look);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_file_of_the_release_is_told),
		cmocka_unit_test(what_the_application_writes_and_git_keeps_is_not_looked_at),
		cmocka_unit_test(what_may_be_secret_is_only_fingerprinted),
		cmocka_unit_test(hand_edits_are_told_with_time_and_owner),
		cmocka_unit_test(a_damaged_manifest_costs_only_the_hand_edits),
		cmocka_unit_test(equal_places_give_equal_facts),
		cmocka_unit_test(listed_paths_are_looked_at_wherever_they_lie),
		cmocka_unit_test(what_may_not_be_read_is_not_checked),
		cmocka_unit_test(capabilities_of_a_program_are_told),
		cmocka_unit_test(a_large_tree_is_told_by_content_and_what_is_unusual),
		cmocka_unit_test(the_file_is_held_against_the_running_process),
		cmocka_unit_test(a_process_of_another_user_is_not_checked_with_what_to_do),
		cmocka_unit_test(without_a_process_that_is_said),
		cmocka_unit_test(a_link_out_of_the_place_is_not_followed),
		cmocka_unit_test(without_a_file_the_names_come_from_the_process),
		cmocka_unit_test(listening_ports_are_told_with_who_can_reach_them),
		cmocka_unit_test(what_the_helper_prints_becomes_facts),
		cmocka_unit_test(images_of_compose_files_are_told_with_how_they_are_pinned),
		cmocka_unit_test(a_unit_that_is_not_there_is_told_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
