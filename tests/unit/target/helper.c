#include "helper.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void scratch_make(struct scratch *scratch)
{
	const char *base = getenv("TMPDIR");
	snprintf(scratch->path, sizeof(scratch->path), "%s/lockstep-target-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(scratch->path));
}

void scratch_remove(struct scratch *scratch)
{
	struct err err = ERR_INIT;
	MUST(tree_remove_at(AT_FDCWD, scratch->path, &err));
}

const char *scratch_at(struct arena *arena, const struct scratch *scratch, const char *name)
{
	return arena_printf(arena, "%s/%s", scratch->path, name);
}

void file_put(const char *folder, const char *path, struct slice content)
{
	struct err err = ERR_INIT;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	char *whole = arena_printf(&arena, "%s/%s", folder, path);
	char *slash = strrchr(whole, '/');
	*slash = '\0';
	MUST(dir_make_at(AT_FDCWD, whole, 0755, &err));
	*slash = '/';
	unlink(whole);
	AUTO(close_fd) int fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	MUST(fd_write_all(fd, content.ptr, content.len, &err));
}

const char *file_get(struct arena *arena, const char *folder, const char *path)
{
	struct err err = ERR_INIT;
	AUTO(buf_free) struct buf content = BUF_INIT(MIB(16));
	MUST(file_read_at(AT_FDCWD, arena_printf(arena, "%s/%s", folder, path), &content, &err));
	return arena_str(arena, buf_slice(&content));
}

void release_import(struct store *store, const char *folder, struct arena *arena, struct manifest *manifest)
{
	struct err err = ERR_INIT;
	AUTO(close_fd) int fd = -1;
	struct store_import options = {0};
	MUST(dir_open_at(AT_FDCWD, folder, &fd, &err));
	MUST(store_import_tree(store, fd, &options, arena, manifest, &err));
}

/* --- sshd ------------------------------------------------------------------------ */

static void run(const char *const *argv)
{
	struct err err = ERR_INIT;
	struct child_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = CHILD_PIPE};
	AUTO(buf_free) struct buf errors = BUF_INIT(KIB(64));
	int status = -1;
	if (child_run(&spec, slice_make("", 0), NULL, &errors, 60000, &status, &err) < 0 || status != 0)
		fail_msg("%s: %s%s", argv[0], err.text, buf_str(&errors));
}

static uint16_t free_port(void)
{
	AUTO(close_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return ntohs(address.sin_port);
}

static void wait_for_banner(const struct sshd *sshd)
{
	for (int tries = 0; tries < 1000; tries++) {
		AUTO(close_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct sockaddr_in address = {.sin_family = AF_INET,
					      .sin_port = htons(sshd->port),
					      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		char banner[4] = "";
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		    read(fd, banner, 4) == 4 && memcmp(banner, "SSH-", 4) == 0)
			return;
		poll(NULL, 0, 10);
	}
	fail_msg("sshd does not answer on port %u", sshd->port);
}

/* A test that fails half way leaves its sshd to this. */
static struct sshd running;

static void stop_running(void)
{
	if (running.child.pid)
		sshd_stop(&running);
}

void sshd_start(struct sshd *sshd, const struct scratch *scratch)
{
	struct err err = ERR_INIT;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *folder = scratch->path;
	stop_running(); /* of a test that failed */
	*sshd = (struct sshd){.child = CHILD_INIT, .port = free_port()};
	const struct passwd *user = getpwuid(geteuid());
	assert_non_null(user);
	snprintf(sshd->user, sizeof(sshd->user), "%s", user->pw_name);
	run((const char *[]){"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
			     arena_printf(&arena, "%s/host_key", folder), NULL});
	run((const char *[]){"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
			     arena_printf(&arena, "%s/user_key", folder), NULL});
	const char *public = file_get(&arena, folder, "user_key.pub");
	file_put(folder, "authorized_keys", slice_of(public));
	const char *host = file_get(&arena, folder, "host_key.pub");
	file_put(folder, "known_hosts",
		 slice_of(arena_printf(&arena, "[127.0.0.1]:%u %s", sshd->port, host)));
	file_put(folder, "sshd_config",
		 slice_of(arena_printf(&arena,
				       "Port %u\nListenAddress 127.0.0.1\nHostKey %s/host_key\nUsePAM no\n"
				       "StrictModes no\nAuthorizedKeysFile %s/authorized_keys\nPidFile none\n"
				       "PasswordAuthentication no\nMaxStartups 100\nMaxSessions 100\n",
				       sshd->port, folder, folder)));
	file_put(folder, "ssh_config",
		 slice_of(arena_printf(
			 &arena,
			 "Host *\n  IdentityFile %s/user_key\n  IdentitiesOnly yes\n"
			 "  UserKnownHostsFile %s/known_hosts\n  GlobalKnownHostsFile /dev/null\n",
			 folder, folder)));
	snprintf(sshd->ssh, sizeof(sshd->ssh), "ssh -F %s/ssh_config", folder);
	if (geteuid() == 0)
		MUST(dir_make_at(AT_FDCWD, "/run/sshd", 0755, &err));
	struct child_spec spec = {
		.argv = (const char *[]){"/usr/sbin/sshd", "-D", "-f",
					 arena_printf(&arena, "%s/sshd_config", folder), "-E",
					 arena_printf(&arena, "%s/sshd.log", folder), NULL},
		.stdin_fd = -1,
		.stdout_fd = -1,
		.stderr_fd = -1,
	};
	static bool registered;
	if (!registered)
		atexit(stop_running);
	registered = true;
	MUST(child_start(&sshd->child, &spec, &err));
	running = *sshd;
	wait_for_banner(sshd);
}

void sshd_stop(struct sshd *sshd)
{
	child_stop(&sshd->child, 2000);
	child_close(&sshd->child);
	running = (struct sshd){.child = CHILD_INIT};
}

struct place_address sshd_address(const struct sshd *sshd, const char *path)
{
	return (struct place_address){.kind = PLACE_SSH,
				      .user = sshd->user,
				      .host = "127.0.0.1",
				      .port = sshd->port,
				      .path = path,
				      .text = "web1"};
}

struct place_address local_address(const char *path)
{
	return (struct place_address){.kind = PLACE_LOCAL, .path = path, .text = "local"};
}
