/* What a command of a build can see: the system's programs, read-only; the tree, a
 * home and a temporary folder of its own; its secrets. Not the user's home, not
 * our state, no agent sockets, no other processes.
 *
 *	/build       the tree         /home/build   $HOME, with caches
 *	/tmp         private          /run/secrets  one file a secret, in memory
 *	/usr /bin /lib* /opt and a few of /etc      of this machine, read-only */
#include "build/internal.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARGS_MAX = 512, PROBE_TIMEOUT_MS = 30 * 1000, SANDBOX_ID = 1000 };

static const char *const system_folders[] = {"/usr", "/opt", "/nix/store", "/gnu/store"};
/* Links into /usr on merged systems, folders elsewhere. */
static const char *const root_folders[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};

/* Of /etc what programs need to run, to find hosts and to check certificates. */
static const char *const etc_names[] = {
	"alternatives",
	"ssl",
	"ca-certificates",
	"ca-certificates.conf",
	"pki",
	"crypto-policies",
	"resolv.conf",
	"hosts",
	"host.conf",
	"nsswitch.conf",
	"gai.conf",
	"services",
	"protocols",
	"ld.so.cache",
	"ld.so.conf",
	"ld.so.conf.d",
	"localtime",
	"timezone",
	"mime.types",
	"magic",
	"os-release",
	"debian_version",
	"lsb-release",
	"redhat-release",
	"alpine-release",
	"fonts",
	"locale.alias",
	"xattr.conf",
};
/* Folders of language run times, which carry their versions in their names. */
static const char *const etc_prefixes[] = {"php",   "python", "ruby",	     "perl",   "java",	 "node",
					   "maven", "gradle", "ImageMagick", "dotnet", "erlang", "R"};

/* Settings of the machine that a build needs to reach the network. */
static const char *const passed_variables[] = {
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"http_proxy", "https_proxy", "no_proxy", "all_proxy",
};
static const char *const certificate_variables[] = {
	"SSL_CERT_FILE",       "SSL_CERT_DIR",	 "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE",
	"NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "PIP_CERT",	   "NIX_SSL_CERT_FILE",
};

/* By our own PATH: commands get another one. NULL when there is none. */
const char *sandbox_find_program(const char *name, struct arena *arena)
{
	struct slice rest = slice_of(getenv("PATH"));

	while (rest.ptr) {
		struct slice folder = slice_cut(&rest, ':');
		const char *path = arena_printf(arena, "%.*s/%s", SLICE_ARG(folder), name);
		if (folder.len && folder.ptr[0] == '/' && access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

/* ---- environment ---- */

struct rows {
	struct arena *arena;
	const char **row;
	size_t count, cap;
};

/* The last one said counts, so that a recipe may set anything. */
static void set(struct rows *rows, const char *name, const char *value)
{
	const char *row = arena_printf(rows->arena, "%s=%s", name, value);
	size_t len = strlen(name) + 1, at = 0;

	while (at < rows->count && strncmp(rows->row[at], row, len) != 0)
		at++;
	ASSERT(at + 1 < rows->cap);
	rows->row[at] = row;
	rows->count = MAX(rows->count, at + 1);
}

const char *const *sandbox_environment(struct sandbox *sandbox, const char *home, const char *tmp,
				       const char *secrets, bool with_path)
{
	const struct build_recipe *recipe = sandbox->request->recipe;
	struct arena *arena = sandbox->arena;
	struct rows rows = {.arena = arena, .cap = 64 + recipe->env_count + sandbox->secret_count};
	const char *path = sandbox->kind == IN_NOTHING ? getenv("PATH") : NULL;

	rows.row = ARENA_NEW_ARRAY(arena, rows.cap, const char *);
	if (with_path)
		set(&rows, "PATH",
		    path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	set(&rows, "HOME", home);
	set(&rows, "TMPDIR", tmp);
	set(&rows, "USER", "build");
	set(&rows, "LOGNAME", "build");
	set(&rows, "SHELL", "/bin/sh");
	set(&rows, "LANG", "C.UTF-8");
	set(&rows, "TZ", "UTC");
	set(&rows, "TERM", "dumb");
	set(&rows, "CI", "true");
	set(&rows, "LOCKSTEP_BUILD", "1");
	set(&rows, "SOURCE_DATE_EPOCH",
	    arena_printf(arena, "%lld", (long long)(sandbox->request->commit->committed_ms / 1000)));
	for (size_t i = 0; i < ARRAY_LEN(passed_variables); i++)
		if (getenv(passed_variables[i]))
			set(&rows, passed_variables[i], getenv(passed_variables[i]));
	for (size_t i = 0; sandbox->kind != IN_CONTAINER && i < ARRAY_LEN(certificate_variables); i++)
		if (getenv(certificate_variables[i]))
			set(&rows, certificate_variables[i], getenv(certificate_variables[i]));
	for (size_t i = 0; i < recipe->env_count; i++)
		set(&rows, recipe->env[i].name, recipe->env[i].value);
	for (size_t i = 0; i < sandbox->secret_count; i++)
		set(&rows, arena_printf(arena, "%s_FILE", sandbox->secrets[i].name),
		    arena_printf(arena, "%s/%s", secrets, sandbox->secrets[i].name));
	return rows.row;
}

/* ---- secrets ---- */

static int find_secrets(struct sandbox *sandbox, struct err *err)
{
	const struct build_request *request = sandbox->request;
	const struct build_recipe *recipe = request->recipe;

	sandbox->secrets = ARENA_NEW_ARRAY(sandbox->arena, recipe->secret_count + 1, struct secret_value);
	for (size_t i = 0; i < recipe->secret_count; i++) {
		const char *name = recipe->secrets[i];
		const char *value = request->secret ? request->secret(request->context, name) : getenv(name);
		if (!value || !*value) {
			err_set(err, ERR_USER, "build: the secret %s has no value here", name);
			return err_hint(err, "set it in the environment: export %s=…", name);
		}
		if (strlen(value) > BUILD_SECRET_LEN_MAX)
			return err_set(err, ERR_USER, "build: the secret %s is longer than %d bytes", name,
				       BUILD_SECRET_LEN_MAX);
		sandbox->secrets[sandbox->secret_count++] = (struct secret_value){name, value, -1};
	}
	return 0;
}

#ifdef __linux__
static int memory_file(const char *content, int *fd_out, struct err *err)
{
	AUTO(close_fd) int fd = memfd_create("secret", MFD_CLOEXEC);

	if (fd < 0)
		return err_errno(err, "memfd_create");
	if (fd_write_all(fd, content, strlen(content), err))
		return -1;
	*fd_out = steal_fd(&fd);
	return 0;
}
#else
static int memory_file(const char *content, int *fd_out, struct err *err)
{
	(void)content;
	(void)fd_out;
	return err_set(err, ERR_USER, "the sandbox needs Linux");
}
#endif

/* Where nothing can be mounted from a descriptor: a private folder in memory,
 * named after the build so that the next one removes what a kill left. */
static int write_secrets(struct sandbox *sandbox, struct err *err)
{
	struct stat info;
	const char *base =
		stat("/dev/shm", &info) == 0 && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : sandbox->tmp;

	if (sandbox->secret_count == 0)
		return 0;
	sandbox->secrets_dir =
		arena_printf(sandbox->arena, "%s/lockstep-%u-%.16s", base, geteuid(), sandbox->key_hex);
	if (tree_remove_at(AT_FDCWD, sandbox->secrets_dir, err))
		return -1;
	if (mkdir(sandbox->secrets_dir, 0700) != 0)
		return err_errno(err, "%s", sandbox->secrets_dir);
	for (size_t i = 0; i < sandbox->secret_count; i++) {
		const char *path =
			arena_printf(sandbox->arena, "%s/%s", sandbox->secrets_dir, sandbox->secrets[i].name);
		AUTO(close_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
		if (fd < 0)
			return err_errno(err, "%s", path);
		if (fd_write_all(fd, sandbox->secrets[i].value, strlen(sandbox->secrets[i].value), err))
			return -1;
	}
	return 0;
}

/* ---- bubblewrap ---- */

struct args {
	struct arena *arena;
	const char *arg[ARGS_MAX];
	size_t count;
};

static void put(struct args *args, const char *first, const char *second, const char *third)
{
	ASSERT(args->count + 4 < ARGS_MAX);
	args->arg[args->count++] = first;
	if (second)
		args->arg[args->count++] = second;
	if (third)
		args->arg[args->count++] = third;
}

static void put_root_folder(struct args *args, const char *path)
{
	char target[256];
	ssize_t len = readlink(path, target, sizeof(target) - 1);

	if (len > 0) {
		target[len] = '\0';
		put(args, "--symlink", arena_strdup(args->arena, target), path);
	} else if (access(path, F_OK) == 0) {
		put(args, "--ro-bind", path, path);
	}
}

static bool is_shown_etc(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(etc_names); i++)
		if (strcmp(name, etc_names[i]) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_LEN(etc_prefixes); i++)
		if (strncmp(name, etc_prefixes[i], strlen(etc_prefixes[i])) == 0)
			return true;
	return false;
}

static int put_etc(void *context, const char *name, struct err *err)
{
	struct args *args = context;
	const char *path = arena_printf(args->arena, "/etc/%s", name);

	(void)err;
	if (is_shown_etc(name) && args->count + 64 < ARGS_MAX)
		put(args, "--ro-bind-try", path, path);
	return 0;
}

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Our state or the user's home, should somebody have put it below a folder that
 * is shown. */
static void hide(struct args *args, const char *path)
{
	AUTO(mem_free_ptr) char *real = path ? realpath(path, NULL) : NULL;

	for (size_t i = 0; real && i < ARRAY_LEN(system_folders); i++)
		if (is_below(real, system_folders[i]) && strcmp(real, system_folders[i]) != 0)
			put(args, "--tmpfs", arena_strdup(args->arena, real), NULL);
}

static int pass_file(struct args *args, struct sandbox_command *out, int fd, const char *path,
		     struct err *err)
{
	if (lseek(fd, 0, SEEK_SET) != 0)
		return err_errno(err, "%s", path);
	put(args, "--file", arena_printf(args->arena, "%d", fd), path);
	ASSERT(out->fd_count < BUILD_FDS_MAX);
	out->fds[out->fd_count++] = fd;
	return 0;
}

static int put_filesystem(struct sandbox *sandbox, struct args *args, struct sandbox_command *out,
			  struct err *err)
{
	struct err ignored = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(system_folders); i++)
		put(args, "--ro-bind-try", system_folders[i], system_folders[i]);
	for (size_t i = 0; i < ARRAY_LEN(root_folders); i++)
		put_root_folder(args, root_folders[i]);
	hide(args, sandbox->request->home);
	hide(args, getenv("HOME"));
	put(args, "--dir", "/etc", NULL);
	if (dir_each_at(AT_FDCWD, "/etc", put_etc, args, &ignored))
		return err_set(err, ERR_INTERNAL, "%s", ignored.text);
	if (pass_file(args, out, sandbox->passwd_fd, "/etc/passwd", err) ||
	    pass_file(args, out, sandbox->group_fd, "/etc/group", err))
		return -1;
	put(args, "--proc", "/proc", NULL);
	put(args, "--dev", "/dev", NULL);
	put(args, "--tmpfs", "/run", NULL);
	put(args, "--dir", "/run/secrets", NULL);
	put(args, "--bind", sandbox->tree, "/build");
	put(args, "--bind", sandbox->home, "/home/build");
	put(args, "--bind", sandbox->tmp, "/tmp");
	for (size_t i = 0; i < sandbox->mount_count; i++)
		put(args, "--bind", sandbox->mounts[i].host,
		    arena_printf(args->arena, "/home/build/%s", sandbox->mounts[i].inside));
	for (size_t i = 0; i < ARRAY_LEN(certificate_variables); i++) {
		const char *path = getenv(certificate_variables[i]);
		if (path && path[0] == '/' && !is_below(path, "/etc/ssl") && !is_below(path, "/usr"))
			put(args, "--ro-bind-try", path, path);
	}
	for (size_t i = 0; i < sandbox->secret_count; i++)
		if (pass_file(args, out, sandbox->secrets[i].fd,
			      arena_printf(args->arena, "/run/secrets/%s", sandbox->secrets[i].name), err))
			return -1;
	return 0;
}

static void put_shell(struct args *args, const struct build_recipe *recipe, const char *command)
{
	if (recipe->memory_max == 0) {
		put(args, "/bin/sh", "-ec", command);
		return;
	}
	/* Private writable memory, not address space: run times reserve far more of
	 * that than they use. */
	put(args, "/bin/sh", "-c",
	    arena_printf(args->arena, "ulimit -d %llu && exec /bin/sh -ec \"$1\"",
			 (unsigned long long)(recipe->memory_max / 1024)));
	put(args, "sh", command, NULL);
}

static int bwrap_command(struct sandbox *sandbox, const char *command, struct sandbox_command *out,
			 struct err *err)
{
	struct args *args = ARENA_NEW(sandbox->arena, struct args);
	const char *id = arena_printf(sandbox->arena, "%d", SANDBOX_ID);

	args->arena = sandbox->arena;
	put(args, sandbox->tool, "--unshare-user", "--unshare-pid");
	put(args, "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try");
	if (sandbox->request->recipe->offline)
		put(args, "--unshare-net", NULL, NULL);
	put(args, "--uid", id, NULL);
	put(args, "--gid", id, NULL);
	put(args, "--hostname", "build", NULL);
	put(args, "--cap-drop", "ALL", NULL);
	put(args, "--die-with-parent", "--new-session", NULL);
	if (put_filesystem(sandbox, args, out, err))
		return -1;
	put(args, "--chdir", "/build", "--");
	put_shell(args, sandbox->request->recipe, command);
	out->argv = args->arg;
	out->env = sandbox_environment(sandbox, "/home/build", "/tmp", "/run/secrets", true);
	return 0;
}

/* Whether namespaces can be made at all is asked before the first command, so that
 * a machine without them is not mistaken for a command that fails. */
static int probe_bwrap(struct sandbox *sandbox, struct err *err)
{
	AUTO(buf_free) struct buf errors = BUF_INIT(64 << 10);
	struct sandbox_command how = {0};
	int status;

	if (bwrap_command(sandbox, "exit 0", &how, err))
		return -1;
	struct child_spec spec = {.argv = how.argv,
				  .env = how.env,
				  .stdin_fd = -1,
				  .stdout_fd = -1,
				  .stderr_fd = -1,
				  .pass_fds = how.fds,
				  .pass_fd_count = how.fd_count};
	if (child_run(&spec, slice_of(""), NULL, &errors, PROBE_TIMEOUT_MS, &status, err))
		return err_wrap(err, "build: the sandbox");
	if (status == 0)
		return 0;
	struct slice text = slice_trim(buf_slice(&errors));
	err_set(err, ERR_USER, "build: the sandbox cannot be made here: %.*s",
		(int)MIN(text.len, (size_t)400), text.ptr);
	return err_hint(
		err,
		"this user may not make namespaces (inside a container, or kernel.unprivileged_userns_clone "
		"= 0, or AppArmor forbids it); allow it, or, if you trust what is built: "
		"build: { sandbox: none }");
}

static int open_bwrap(struct sandbox *sandbox, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *passwd = arena_printf(&arena,
					  "root:x:0:0:root:/root:/usr/sbin/nologin\n"
					  "build:x:%d:%d:build:/home/build:/bin/sh\n"
					  "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
					  SANDBOX_ID, SANDBOX_ID);
	const char *group = arena_printf(&arena, "root:x:0:\nbuild:x:%d:\nnogroup:x:65534:\n", SANDBOX_ID);

	sandbox->tool = sandbox_find_program("bwrap", sandbox->arena);
	if (!sandbox->tool) {
		err_set(err, ERR_USER,
			"build: bubblewrap (bwrap), which keeps builds apart, is not installed");
		return err_hint(
			err, "install it (Debian, Ubuntu: apt install bubblewrap), or, if you trust what is "
			     "built: build: { sandbox: none }");
	}
	if (memory_file(passwd, &sandbox->passwd_fd, err) || memory_file(group, &sandbox->group_fd, err))
		return -1;
	for (size_t i = 0; i < sandbox->secret_count; i++)
		if (memory_file(sandbox->secrets[i].value, &sandbox->secrets[i].fd, err))
			return -1;
	return probe_bwrap(sandbox, err);
}

/* ---- any kind ---- */

int sandbox_open(struct sandbox *sandbox, struct err *err)
{
	const struct build_recipe *recipe = sandbox->request->recipe;

	sandbox->passwd_fd = sandbox->group_fd = -1;
	sandbox->kind = recipe->image			  ? IN_CONTAINER
			: recipe->sandbox == SANDBOX_NONE ? IN_NOTHING
							  : IN_BWRAP;
	if (find_secrets(sandbox, err))
		return -1;
	if (sandbox->kind == IN_BWRAP)
		return open_bwrap(sandbox, err);
	if (sandbox->kind == IN_CONTAINER) {
		sandbox->name = arena_printf(sandbox->arena, "lockstep-%.16s", sandbox->key_hex);
		if (container_resolve(recipe->image, sandbox->arena, &sandbox->tool, &sandbox->image, err))
			return -1;
		container_remove(sandbox); /* what a kill may have left */
	}
	return write_secrets(sandbox, err);
}

void sandbox_close(struct sandbox *sandbox)
{
	struct err ignored = ERR_INIT;

	for (size_t i = 0; i < sandbox->secret_count; i++)
		close_fd(&sandbox->secrets[i].fd);
	if (sandbox->kind) {
		close_fd(&sandbox->passwd_fd);
		close_fd(&sandbox->group_fd);
	}
	if (sandbox->secrets_dir && tree_remove_at(AT_FDCWD, sandbox->secrets_dir, &ignored))
		return;
}

int sandbox_command(struct sandbox *sandbox, const char *command, struct sandbox_command *out,
		    struct err *err)
{
	*out = (struct sandbox_command){0};
	if (sandbox->kind == IN_BWRAP)
		return bwrap_command(sandbox, command, out, err);
	if (sandbox->kind == IN_CONTAINER)
		return container_command(sandbox, command, out, err);
	struct args *args = ARENA_NEW(sandbox->arena, struct args);
	args->arena = sandbox->arena;
	put_shell(args, sandbox->request->recipe, command);
	out->argv = args->arg;
	out->env = sandbox_environment(sandbox, sandbox->home, sandbox->tmp,
				       sandbox->secrets_dir ? sandbox->secrets_dir : "", true);
	out->dir = sandbox->tree;
	return 0;
}

void sandbox_after_stop(struct sandbox *sandbox)
{
	if (sandbox->kind == IN_CONTAINER)
		container_remove(sandbox);
}
