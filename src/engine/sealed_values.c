#include "engine/sealed_values.h"

#include "base/fd.h"
#include "secret/provider.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

static const char *listed_path(const struct environment *environment)
{
	for (size_t i = 0; i < environment->values_from.count; i++)
		if (slice_starts_with(slice_of(environment->values_from.items[i].from), "sealed:"))
			return environment->values_from.items[i].from + strlen("sealed:");
	return NULL;
}

static int take_lock(struct engine *engine, struct sealed_place *place, struct err *err)
{
	const char *folder = arena_printf(&engine->arena, "%s/keys/%s", engine->home.path, engine->project->name);
	const char *path = arena_printf(&engine->arena, "%s/%s.lock", folder, place->environment->name);

	if (dir_make_at(AT_FDCWD, folder, 0700, err))
		return -1;
	place->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (place->lock_fd < 0 || flock(place->lock_fd, LOCK_EX) != 0)
		return err_errno(err, "%s", path);
	return 0;
}

static int read_file(struct engine *engine, struct sealed_place *place, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(SEALED_FILE_MAX);
	struct diags *diags = ARENA_NEW(&engine->arena, struct diags);
	const struct sealed_file *file = &place->file;

	*diags = DIAGS_INIT(&engine->arena);
	place->exists = access(place->path, F_OK) == 0 || errno != ENOENT;
	if (!place->exists)
		return 0;
	if (file_read_at(AT_FDCWD, place->path, &text, err))
		return err_wrap(err, "%s", place->shown);
	if (sealed_file_parse(&engine->arena, place->shown, buf_slice(&text), &place->file, diags))
		return diags_check(diags, place->shown, err);
	if (strcmp(file->project, engine->project->name) != 0 ||
	    strcmp(file->environment, place->environment->name) != 0)
		return err_set(err, ERR_USER, "%s holds the values of %s/%s, not of %s/%s", place->shown, file->project,
			       file->environment, engine->project->name, place->environment->name);
	return 0;
}

int sealed_place_open(struct engine *engine, const char *environment, const char *path, bool lock,
		      struct sealed_place *out, struct err *err)
{
	struct arena *arena = &engine->arena;

	*out = SEALED_PLACE_INIT;
	if (project_find_environment(engine->project, environment, &out->environment, err))
		return -1;
	const char *listed = listed_path(out->environment);
	out->shown = path ? path : listed ? listed : arena_printf(arena, "deploy/%s.sealed", environment);
	out->listed = listed && strcmp(listed, out->shown) == 0;
	out->path = out->shown[0] == '/' || !engine->project->dir
			    ? out->shown
			    : arena_printf(arena, "%s/%s", engine->project->dir, out->shown);
	if (lock && take_lock(engine, out, err))
		return -1;
	return read_file(engine, out, err);
}

void sealed_place_close(struct sealed_place *place) { close_fd(&place->lock_fd); }

int sealed_place_must_exist(const struct sealed_place *place, struct err *err)
{
	if (place->exists)
		return 0;
	err_set(err, ERR_NOT_FOUND, "%s has no sealed values: there is no file %s", place->environment->name, place->shown);
	return err_hint(err, "`lockstep secret set %s NAME` makes it", place->environment->name);
}

int sealed_place_key(struct engine *engine, struct sealed_place *place, struct safe *safe, struct seal_key *out,
		     bool *made_out, struct err *err)
{
	const char *home = engine->home.path, *project = engine->project->name, *environment = place->environment->name;

	if (made_out)
		*made_out = false;
	if (place->exists)
		return key_file_load(home, project, environment, place->file.key_id, safe, out, err);
	if (key_file_load(home, project, environment, NULL, safe, out, err)) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		seal_key_generate(safe, out);
		if (key_file_save(home, project, environment, out, err))
			return -1;
		if (made_out)
			*made_out = true;
	}
	sealed_file_init(&engine->arena, project, environment, out->id, &place->file);
	return 0;
}

int sealed_place_save(struct engine *engine, struct sealed_place *place, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(SEALED_FILE_MAX);
	const char *slash = strrchr(place->path, '/');
	struct stat status;

	sealed_file_print(&place->file, &text);
	if (buf_check(&text, place->shown, err))
		return -1;
	mode_t mode = stat(place->path, &status) == 0 ? status.st_mode & 0777 : 0644;
	if (slash && slash != place->path &&
	    dir_make_at(AT_FDCWD, arena_str(&engine->arena, slice_make(place->path, (size_t)(slash - place->path))), 0755,
			err))
		return err_wrap(err, "%s", place->shown);
	return file_replace_at(AT_FDCWD, place->path, buf_slice(&text), mode, err) ? err_wrap(err, "%s", place->shown) : 0;
}
