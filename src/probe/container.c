/* Containers: the engine, what runs in it and by which image exactly, and what compose
 * files of the release ask for. No engine is started: podman is asked only where one of its
 * containers runs, docker only where its daemon does. */
#include "probe/internal.h"
#include "probe/kinds.h"
#include "probe/parse.h"

#include "base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { CONTAINERS_MAX = 200, COMPOSE_FILE_MAX = 1 << 20 };

/* Processes by which engines are known. */
struct engines {
	bool dockerd, conmon, our_conmon;
};

static void look_at_processes(struct probe_sink *sink, struct engines *engines)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint64_t pid;

	while (proc && (entry = readdir(proc))) {
		char path[300], comm[64];
		struct stat st;
		if (!slice_to_u64(slice_of(entry->d_name), &pid))
			continue;
		snprintf(path, sizeof(path), "%s/comm", entry->d_name);
		AUTO(close_fd) int fd = openat(dirfd(proc), path, O_RDONLY | O_CLOEXEC);
		ssize_t len = fd < 0 ? -1 : read(fd, comm, sizeof(comm));
		struct slice name = len > 0 ? slice_trim(slice_make(comm, (size_t)len)) : SLICE("");
		bool dockerd = slice_is(name, "dockerd"), conmon = slice_is(name, "conmon");
		/* An engine inside of a container serves that one alone. */
		if ((!dockerd && !conmon) || process_is_contained(sink, entry->d_name))
			continue;
		engines->dockerd |= dockerd;
		engines->conmon |= conmon;
		engines->our_conmon |= conmon && fstat(fd, &st) == 0 && st.st_uid == geteuid();
	}
	if (proc)
		closedir(proc);
}

/* "Docker version 24.0.5, build ced0996", "podman version 4.3.1" */
static void put_version(struct probe_sink *sink, const char *engine)
{
	const char *argv[] = {engine, "--version", NULL}, *why;
	struct slice text = probe_command_kept(sink, argv, 3000, 4096, &why), word;

	while ((word = parse_word(&text)).len)
		if (*word.ptr >= '0' && *word.ptr <= '9') {
			struct slice rest = slice_trim(word);
			probe_version(sink, probe_key(sink, "container/%s/version", engine),
				      slice_cut(&rest, ','));
			return;
		}
}

/* One line a container: name, image as it was asked for, id of the image. */
static void put_containers(struct probe_sink *sink, const char *engine)
{
	const char *argv[CONTAINERS_MAX + 8] = {engine, "ps", "-q", "--no-trunc", NULL}, *why;
	struct slice ids = probe_command(sink, argv, 5000, KIB(64), &why);
	size_t count = 0;

	if (!ids.ptr) {
		probe_skip(sink, probe_key(sink, "container/"), "%s ps: %s", engine, why);
		return;
	}
	argv[count++] = engine;
	argv[count++] = "inspect";
	argv[count++] = "--format={{.Name}}\t{{.Config.Image}}\t{{.Image}}";
	while (ids.ptr && count < CONTAINERS_MAX) {
		struct slice id = slice_trim(slice_cut(&ids, '\n'));
		if (id.len && *id.ptr != '-')
			argv[count++] = arena_str(&sink->arena, id);
	}
	argv[count] = NULL;
	if (count == 3)
		return;
	struct slice text = probe_command(sink, argv, 8000, KIB(256), &why);
	if (!text.ptr)
		probe_skip(sink, probe_key(sink, "container/"), "%s inspect: %s", engine, why);
	while (text.ptr) {
		struct slice image = slice_cut(&text, '\n'), name = slice_cut(&image, '\t'), id = image;
		image = slice_cut(&id, '\t');
		if (name.len && *name.ptr == '/')
			name = slice_skip(name, 1);
		if (!name.len || !id.ptr)
			continue;
		probe_text(sink, probe_key(sink, "container/%.*s/image", SLICE_ARG(name)), image);
		probe_text(sink, probe_key(sink, "container/%.*s/image_id", SLICE_ARG(name)), id);
	}
}

static void look_at_docker(struct probe_sink *sink, const struct engines *engines)
{
	static const char socket[] = "/var/run/docker.sock";

	put_version(sink, "docker");
	/* The socket alone may be systemd's, and asking it would start the daemon. */
	if (!engines->dockerd)
		return;
	if (access(socket, R_OK | W_OK) != 0)
		probe_skip(sink, SLICE("container/"),
			   "running containers: %s is root's and the group docker's, and whoever is in it is "
			   "as good as root",
			   socket);
	else
		put_containers(sink, "docker");
}

static void look_at_podman(struct probe_sink *sink, const struct engines *engines)
{
	put_version(sink, "podman");
	/* Without a container of ours it would make its folders and a process that stays. */
	if (engines->our_conmon)
		put_containers(sink, "podman");
	else if (engines->conmon)
		probe_skip(sink, SLICE("container/"),
			   "containers of other users run in podman; only they and root see them");
}

/* ---- compose files ---- */

static const char *pin_of(struct slice image)
{
	const char *slash = memrchr(image.ptr, '/', image.len);
	struct slice last = slash ? slice_skip(image, (size_t)(slash - image.ptr) + 1) : image;

	if (slice_glob_match(SLICE("*@sha256:*"), image))
		return "by digest";
	if (slice_find(image, '$') >= 0)
		return "by a variable";
	return slice_find(last, ':') >= 0 && !slice_ends_with(last, ":latest") ? "by tag only" : "not at all";
}

static void read_compose(struct probe_sink *sink, const char *name)
{
	AUTO(buf_free) struct buf text = BUF_INIT(COMPOSE_FILE_MAX);
	AUTO(close_fd) int fd = -1;
	struct err err = ERR_INIT;
	struct parse_compose parser;
	struct slice service, image;
	struct stat st;

	if (open_beneath(sink->request->live_fd, name, O_RDONLY | O_NONBLOCK, 0, false, &fd, &err) ||
	    fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || fd_read_all(fd, &text, &err)) {
		if (err.code != ERR_NOT_FOUND)
			probe_skip(sink, probe_key(sink, "container/compose:%s:", name), "%s", err.text);
		return;
	}
	parse_compose_begin(&parser, buf_slice(&text));
	for (int i = 0; i < 1000 && parse_compose_next(&parser, &service, &image); i++) {
		probe_text(sink, probe_key(sink, "container/compose:%s:%.*s/image", name, SLICE_ARG(service)),
			   image);
		probe_str(sink, probe_key(sink, "container/compose:%s:%.*s/pinned", name, SLICE_ARG(service)),
			  pin_of(image));
	}
}

static int container_run(struct probe_sink *sink, struct err *err)
{
	static const char *const files[] = {"compose.yaml",	     "compose.yml",
					    "docker-compose.yml",    "docker-compose.yaml",
					    "compose.override.yaml", "docker-compose.override.yml"};
	struct engines engines = {0};

	(void)err;
	probe_str(sink, SLICE("container/host/inside"),
		  access("/.dockerenv", F_OK) == 0	    ? "docker"
		  : access("/run/.containerenv", F_OK) == 0 ? "podman"
							    : "no");
	look_at_processes(sink, &engines);
	look_at_docker(sink, &engines);
	look_at_podman(sink, &engines);
	for (size_t i = 0; sink->request->live_fd >= 0 && i < ARRAY_LEN(files); i++)
		read_compose(sink, files[i]);
	return 0;
}

static const struct probe_fact container_facts[] = {
	{"container/host/inside", "text", "whether this server is a container itself: docker, podman, no"},
	{"container/docker/version", "version", "of the docker program; likewise container/podman/version"},
	{"container/NAME/image", "text", "the image a running container was made from, as it was asked for"},
	{"container/NAME/image_id", "text", "that image's id: equal ids are equal content, whatever the tag"},
	{"container/compose:FILE:SERVICE/image", "text", "what a compose file of the release asks for"},
	{"container/compose:FILE:SERVICE/pinned", "text",
	 "by digest, by tag only, by a variable, not at all"},
	{NULL, NULL, NULL},
};

const struct probe probe_container = {
	.dimension = "container",
	.text = "container engines, running containers by image, compose files of the release",
	.facts = container_facts,
	.time_ms = 20000,
	.remembers = true,
	.run = container_run,
};
