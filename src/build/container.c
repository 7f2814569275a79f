/* Commands in a container, by the podman or docker program that is there. */
#include "build/internal.h"

#include "base/fd.h"

#include <stdlib.h>
#include <unistd.h>

enum { IMAGE_ID_LEN = 64, PULL_TIMEOUT_MS = 20 * 60 * 1000, ASK_TIMEOUT_MS = 60 * 1000 };

/* A program that is installed, and for docker: one whose service answers. */
static int run_tool(const char *const *argv, struct buf *out, struct buf *errors, int64_t timeout_ms,
		    int *status, struct err *err)
{
	struct child_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};

	return child_run(&spec, slice_of(""), out, errors, timeout_ms, status, err);
}

static bool is_podman(const char *tool)
{
	return slice_ends_with(slice_of(tool), "podman");
}

/* What docker and podman want for help lies below the user's folders: ours are
 * inherited here, unlike for the commands inside. */
static bool find_tool(struct arena *arena, const char **tool_out, struct buf *why)
{
	static const char *const tools[] = {"podman", "docker"};

	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		AUTO(buf_free) struct buf out = BUF_INIT(64 << 10);
		AUTO(buf_free) struct buf errors = BUF_INIT(64 << 10);
		const char *path = sandbox_find_program(tools[i], arena);
		const char *argv[] = {path, "version", "--format", "{{.Server.Version}}", NULL};
		struct err err = ERR_INIT;
		int status;
		if (!path) {
			buf_printf(why, "\n  %s: not installed", tools[i]);
			continue;
		}
		if (is_podman(path))
			argv[3] = "{{.Client.Version}}";
		if (run_tool(argv, &out, &errors, ASK_TIMEOUT_MS, &status, &err) == 0 && status == 0) {
			*tool_out = path;
			return true;
		}
		struct slice text = err.code ? slice_of(err.text) : slice_trim(buf_slice(&errors));
		buf_printf(why, "\n  %s: ", tools[i]);
		buf_put_printable(why, slice_make(text.ptr, MIN(text.len, (size_t)300)));
	}
	return false;
}

/* 0 found, 1 not here, -1. */
static int inspect(const char *tool, const char *image, struct arena *arena, const char **digest_out,
		   struct err *err)
{
	AUTO(buf_free) struct buf out = BUF_INIT(64 << 10);
	AUTO(buf_free) struct buf errors = BUF_INIT(64 << 10);
	const char *const argv[] = {tool, "image", "inspect", "--format", "{{.Id}}", image, NULL};
	int status;

	if (run_tool(argv, &out, &errors, ASK_TIMEOUT_MS, &status, err))
		return -1;
	if (status != 0)
		return 1;
	struct slice id = slice_trim(buf_slice(&out));
	if (slice_starts_with(id, "sha256:"))
		id = slice_skip(id, strlen("sha256:"));
	if (id.len != IMAGE_ID_LEN)
		return err_set(err, ERR_INTERNAL, "%s gives no digest for the image %s", tool, image);
	*digest_out = arena_printf(arena, "sha256:%.*s", SLICE_ARG(id));
	return 0;
}

int container_resolve(const char *image, struct arena *arena, const char **tool_out, const char **digest_out,
		      struct err *err)
{
	AUTO(buf_free) struct buf why = BUF_INIT(1500);
	AUTO(buf_free) struct buf errors = BUF_INIT(1 << 20);
	int status;

	if (!find_tool(arena, tool_out, &why)) {
		err_set(err, ERR_USER, "build: `image: %s` needs podman or docker, and neither works here:%s",
			image, buf_str(&why));
		return err_hint(
			err,
			"install podman (Debian, Ubuntu: apt install podman), or leave `image` out to build "
			"with the programs of this machine");
	}
	int found = inspect(*tool_out, image, arena, digest_out, err);
	if (found <= 0)
		return found ? err_wrap(err, "build: image %s", image) : 0;
	const char *const pull[] = {*tool_out, "pull", "-q", image, NULL};
	if (run_tool(pull, NULL, &errors, PULL_TIMEOUT_MS, &status, err))
		return err_wrap(err, "build: image %s", image);
	if (status != 0) {
		struct slice text = slice_trim(buf_slice(&errors));
		return err_set(err, ERR_NETWORK, "build: cannot pull the image %s: %s says: %.*s", image,
			       *tool_out, (int)MIN(text.len, (size_t)600), text.ptr);
	}
	found = inspect(*tool_out, image, arena, digest_out, err);
	if (found > 0)
		err_set(err, ERR_INTERNAL, "%s does not know the image it has just pulled", *tool_out);
	return found ? err_wrap(err, "build: image %s", image) : 0;
}

static const char *bind(struct sandbox *sandbox, const char *from, const char *to, const char *more)
{
	return arena_printf(sandbox->arena, "type=bind,src=%s,dst=%s%s", from, to, more);
}

static bool sets_same_name(const char *const *rows, const char *row)
{
	size_t len = strcspn(row, "=") + 1;

	for (; *rows; rows++)
		if (strncmp(*rows, row, len) == 0 && strncmp(row, "HOME=", 5) != 0 &&
		    strncmp(row, "TMPDIR=", 7) != 0)
			return true;
	return false;
}

int container_command(struct sandbox *sandbox, const char *command, struct sandbox_command *out,
		      struct err *err)
{
	const struct build_recipe *recipe = sandbox->request->recipe;
	const char *const *inner = sandbox_environment(sandbox, "/home/build", "/tmp", "/run/secrets", false);
	size_t inner_count = 0, ours = 0, at = 0;

	while (inner[inner_count])
		inner_count++;
	while (environ[ours])
		ours++;
	if (strchr(sandbox->tree, ',') || strchr(sandbox->request->home, ','))
		return err_set(err, ERR_USER,
			       "build: containers cannot be given a folder with a comma in its name: %s",
			       sandbox->tree);
	const char **argv = ARENA_NEW_ARRAY(sandbox->arena, 48 + 2 * inner_count + 2 * sandbox->mount_count,
					    const char *);
	const char **env = ARENA_NEW_ARRAY(sandbox->arena, ours + inner_count + 1, const char *);
	const char *const fixed[] = {sandbox->tool,
				     "run",
				     "--rm",
				     "--name",
				     sandbox->name,
				     "--cap-drop",
				     "ALL",
				     "--security-opt",
				     "no-new-privileges",
				     "--mount",
				     bind(sandbox, sandbox->tree, "/build", ""),
				     "--mount",
				     bind(sandbox, sandbox->home, "/home/build", ""),
				     "--mount",
				     bind(sandbox, sandbox->tmp, "/tmp", ""),
				     "--workdir",
				     "/build"};
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		argv[at++] = fixed[i];
	if (recipe->offline) {
		argv[at++] = "--network";
		argv[at++] = "none";
	}
	if (sandbox->secret_count) {
		argv[at++] = "--mount";
		argv[at++] = bind(sandbox, sandbox->secrets_dir, "/run/secrets", ",readonly");
	}
	for (size_t i = 0; i < sandbox->mount_count; i++) {
		argv[at++] = "--mount";
		argv[at++] =
			bind(sandbox, sandbox->mounts[i].host,
			     arena_printf(sandbox->arena, "/home/build/%s", sandbox->mounts[i].inside), "");
	}
	if (recipe->memory_max) {
		argv[at++] = "--memory";
		argv[at++] = arena_printf(sandbox->arena, "%llu", (unsigned long long)recipe->memory_max);
	}
	/* Rootless podman shows us as root inside; everywhere else files must stay ours. */
	if (!is_podman(sandbox->tool) || geteuid() == 0) {
		argv[at++] = "--user";
		argv[at++] = arena_printf(sandbox->arena, "%u:%u", geteuid(), getegid());
	}
	/* By name only: the values travel in the tool's environment, not among arguments. */
	size_t kept = 0;
	for (size_t i = 0; i < ours; i++)
		if (!sets_same_name(inner, environ[i]))
			env[kept++] = environ[i];
	for (size_t i = 0; i < inner_count; i++) {
		env[kept + i] = inner[i];
		argv[at++] = "--env";
		/* Names the tool itself reads are given whole; none of them is a secret. */
		bool own = strncmp(inner[i], "HOME=", 5) == 0 || strncmp(inner[i], "TMPDIR=", 7) == 0;
		argv[at++] =
			own ? inner[i]
			    : arena_printf(sandbox->arena, "%.*s", (int)strcspn(inner[i], "="), inner[i]);
		if (own)
			env[kept + i] = "LOCKSTEP_BUILD=1";
	}
	const char *const last[] = {"--entrypoint", "/bin/sh", sandbox->image, "-ec", command};
	for (size_t i = 0; i < ARRAY_LEN(last); i++)
		argv[at++] = last[i];
	out->argv = argv;
	out->env = env;
	return 0;
}

void container_remove(struct sandbox *sandbox)
{
	/* `rm -f` of podman asks the commands to end and gives them ten seconds, and the option to
	 * do without came with its version 4; `kill` is in every one of both. */
	const char *const commands[][3] = {{"kill"}, {"rm", "-f"}};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const char *argv[6] = {sandbox->tool};
		AUTO(buf_free) struct buf out = BUF_INIT(64 << 10);
		struct err ignored = ERR_INIT;
		size_t count = 1;
		int status;
		for (size_t k = 0; commands[i][k]; k++)
			argv[count++] = commands[i][k];
		argv[count] = sandbox->name;
		if (run_tool(argv, &out, &out, ASK_TIMEOUT_MS, &status, &ignored))
			return;
	}
}
