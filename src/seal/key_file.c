/* Keys in files and variables. What a key is, is sealing.c. */
#include "seal/key_file.h"

#include "base/arena.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEY_FILE_MAX = 4096, BORROWED_MAX = 64 };

void key_file_variable(const char *environment, char *out)
{
	snprintf(out, KEY_PATH_MAX, "LOCKSTEP_KEY_%s", environment);
	for (char *c = out; *c; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c == '-' || *c == '.' ? '_' : *c;
}

static void path_of(const char *home, const char *project, const char *environment, const char *id, char *out)
{
	/* Both are names that the project file allows: no slashes, no dots. */
	ASSERT(!strchr(project, '/') && !strchr(environment, '/') && project[0] != '.' && environment[0] != '.');
	snprintf(out, KEY_PATH_MAX, "%s/keys/%s/%s%s%s.key", home, project, environment, id ? "." : "", id ? id : "");
}

void key_file_path(const char *home, const char *project, const char *environment, char *out)
{
	path_of(home, project, environment, NULL, out);
}

/* ---- reading ---- */

static int read_key(int fd, const char *shown, struct safe *safe, struct seal_key *out, struct err *err)
{
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(KEY_FILE_MAX);

	if (fd_read_all(fd, &text, err) || seal_key_parse(safe, buf_slice(&text), out, err))
		return err_wrap(err, "%s", shown);
	return 0;
}

static int check_private(int fd, const char *path, struct err *err)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return err_errno(err, "%s", path);
	if (!S_ISREG(status.st_mode))
		return err_set(err, ERR_USER, "%s is no regular file", path);
	if (status.st_uid != geteuid() && status.st_uid != 0)
		return err_set(err, ERR_DENIED, "the key file %s belongs to another user (number %lu)", path,
			       (unsigned long)status.st_uid);
	if (status.st_mode & 077) {
		err_set(err, ERR_DENIED, "others can read the key file %s (mode %04o)", path,
			(unsigned)(status.st_mode & 07777));
		return err_hint(err, "chmod 600 '%s'; if somebody may have read it: `lockstep secret rotate`", path);
	}
	return 0;
}

static int read_key_file(const char *path, struct safe *safe, struct seal_key *out, struct err *err)
{
	AUTO(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_errno(err, "%s", path);
	if (check_private(fd, path, err))
		return -1;
	return read_key(fd, path, safe, out, err);
}

/* ---- keys that a variable gives ---- */

/* A descriptor can be read once, and a key that stood in a variable is wiped there: so
 * both are kept until the process ends. */
static struct borrowed {
	char variable[128];
	struct seal_key key;
} borrowed[BORROWED_MAX];
static size_t borrowed_count;
static struct safe *borrowed_safe;
static pthread_mutex_t borrowed_mutex = PTHREAD_MUTEX_INITIALIZER;

static bool names_file(struct slice text)
{
	return slice_starts_with(text, "/") || slice_starts_with(text, "./") || slice_starts_with(text, "../");
}

static int read_variable(const char *name, char *value, struct safe *safe, struct seal_key *out, struct err *err)
{
	struct slice text = slice_of(value);
	uint64_t number;

	if (slice_starts_with(text, "fd:")) {
		if (!slice_to_u64(slice_skip(text, 3), &number) || number > INT32_MAX)
			return err_set(err, ERR_USER, "%s is neither a file, nor fd:N, nor a key", name);
		AUTO(close_fd) int fd = (int)number;
		return read_key(fd, name, safe, out, err);
	}
	if (names_file(text))
		return read_key_file(value, safe, out, err) ? err_wrap(err, "%s", name) : 0;
	if (seal_key_parse(safe, text, out, err)) {
		err_set(err, ERR_USER, "%s holds no key", name);
		return err_hint(err, "it is the path of a key file (beginning with a slash), fd:N, or a key "
				     "(`lockstep secret key ENV --export`)");
	}
	/* /proc/PID/environ shows these bytes, and children would inherit them. */
	explicit_bzero(value, text.len);
	return 0;
}

static int borrow(const char *name, char *value, struct err *err)
{
	if (!borrowed_safe)
		borrowed_safe = safe_open();
	if (borrowed_count == BORROWED_MAX || strlen(name) >= sizeof(borrowed->variable))
		return err_set(err, ERR_USER, "%s: too many keys from variables", name);
	struct borrowed *entry = &borrowed[borrowed_count];
	if (read_variable(name, value, borrowed_safe, &entry->key, err))
		return -1;
	snprintf(entry->variable, sizeof(entry->variable), "%.127s", name);
	borrowed_count++;
	return 0;
}

void key_file_take_variables(void)
{
	extern char **environ;
	struct err ignored = ERR_INIT;

	for (char **at = environ; *at; at++) {
		struct slice value = slice_of(*at), name = slice_cut(&value, '=');
		char variable[KEY_PATH_MAX];
		uint64_t number;
		if (!slice_starts_with(name, "LOCKSTEP_KEY_") || !value.len || name.len >= sizeof(variable))
			continue;
		if (slice_starts_with(value, "fd:")) {
			if (slice_to_u64(slice_skip(value, 3), &number) && number > 2 && number <= INT32_MAX)
				fcntl((int)number, F_SETFD, FD_CLOEXEC);
			continue;
		}
		snprintf(variable, sizeof(variable), "%.*s", SLICE_ARG(name));
		if (!names_file(value))
			(void)!borrow(variable, *at + name.len + 1, &ignored);
	}
}

/* 1: the variable gives one; 0: it is not set. */
static int load_borrowed(const char *environment, struct safe *safe, struct seal_key *out, struct err *err)
{
	char name[KEY_PATH_MAX];

	key_file_variable(environment, name);
	for (size_t i = 0; i < borrowed_count; i++)
		if (strcmp(borrowed[i].variable, name) == 0)
			return safe_put(safe, secret_reveal(borrowed[i].key.bytes), &out->bytes, err)
				       ? -1
				       : (memcpy(out->id, borrowed[i].key.id, sizeof(out->id)), 1);
	char *value = getenv(name);
	if (!value || !*value)
		return 0;
	if (borrow(name, value, err))
		return -1;
	return load_borrowed(environment, safe, out, err);
}

/* ---- loading ---- */

static int not_found(const char *home, const char *project, const char *environment, const char *id,
		     const struct seal_key *other, struct err *err)
{
	char name[KEY_PATH_MAX], path[KEY_PATH_MAX];

	key_file_variable(environment, name);
	key_file_path(home, project, environment, path);
	if (other)
		err_set(err, ERR_NOT_FOUND, "the key %s of %s/%s is not here (there is %s)", id, project, environment,
			other->id);
	else
		err_set(err, ERR_NOT_FOUND, "there is no key of %s/%s here", project, environment);
	return err_hint(err, "whoever has it prints it with `lockstep secret key %s --export`; `lockstep secret key %s "
			     "--import` puts it into %s; or let %s name its file", environment, environment, path, name);
}

static bool is_wanted(const struct seal_key *key, const char *id) { return !id || strcmp(key->id, id) == 0; }

/* 1: found; 0: there is no such file. */
static int try_file(const char *path, struct safe *safe, struct seal_key *out, struct err *err)
{
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return 0;
	return read_key_file(path, safe, out, err) ? -1 : 1;
}

int key_file_load(const char *home, const char *project, const char *environment, const char *id,
		  struct safe *safe, struct seal_key *out, struct err *err)
{
	struct seal_key current;
	char path[KEY_PATH_MAX];

	pthread_mutex_lock(&borrowed_mutex);
	int given = load_borrowed(environment, safe, out, err);
	pthread_mutex_unlock(&borrowed_mutex);
	if (given < 0 || (given && is_wanted(out, id)))
		return given < 0 ? -1 : 0;
	path_of(home, project, environment, NULL, path);
	int found = try_file(path, safe, &current, err);
	if (found < 0)
		return -1;
	if (found && is_wanted(&current, id)) {
		*out = current;
		return 0;
	}
	if (id) {
		path_of(home, project, environment, id, path);
		struct seal_key earlier;
		int kept = try_file(path, safe, &earlier, err);
		if (kept < 0)
			return -1;
		if (kept && is_wanted(&earlier, id)) {
			*out = earlier;
			return 0;
		}
	}
	return not_found(home, project, environment, id, given ? out : found ? &current : NULL, err);
}

/* ---- writing ---- */

static int write_key(const char *path, const char *comment, const struct seal_key *key, struct err *err)
{
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(KEY_FILE_MAX);

	buf_puts(&text, comment);
	seal_key_put(&text, key);
	buf_putc(&text, '\n');
	return file_replace_at(AT_FDCWD, path, buf_slice(&text), 0600, err);
}

int key_file_save(const char *home, const char *project, const char *environment, const struct seal_key *key,
		  struct err *err)
{
	AUTO(safe_close) struct safe *safe = safe_open();
	char folder[KEY_PATH_MAX], path[KEY_PATH_MAX], kept[KEY_PATH_MAX], comment[512];
	struct seal_key earlier;

	snprintf(folder, sizeof(folder), "%s/keys/%s", home, project);
	path_of(home, project, environment, NULL, path);
	if (dir_make_at(AT_FDCWD, folder, 0700, err))
		return err_wrap(err, "keys of %s", project);
	int found = try_file(path, safe, &earlier, err);
	if (found < 0)
		return -1;
	if (found && strcmp(earlier.id, key->id) == 0)
		return 0;
	if (found) {
		path_of(home, project, environment, earlier.id, kept);
		if (link(path, kept) != 0 && errno != EEXIST)
			return err_errno(err, "cannot keep the earlier key as %s", kept);
	}
	snprintf(comment, sizeof(comment),
		 "# The key of %s/%s. Whoever has it can read the values sealed with it.\n"
		 "# Not for repositories. id %s\n",
		 project, environment, key->id);
	return write_key(path, comment, key, err) ? err_wrap(err, "the key of %s/%s", project, environment) : 0;
}

int key_file_machine(const char *home, struct safe *safe, struct seal_key *out, struct err *err)
{
	char folder[KEY_PATH_MAX], path[KEY_PATH_MAX], mine[KEY_PATH_MAX + 32];

	snprintf(folder, sizeof(folder), "%s/keys", home);
	snprintf(path, sizeof(path), "%.*s/machine.key", KEY_PATH_MAX - 16, folder);
	int found = try_file(path, safe, out, err);
	if (found)
		return found < 0 ? -1 : 0;
	if (dir_make_at(AT_FDCWD, folder, 0700, err))
		return err_wrap(err, "the key of this machine");
	/* Two commands may do this at once: the first one's key holds for both. */
	seal_key_generate(safe, out);
	snprintf(mine, sizeof(mine), "%s.%ld", path, (long)getpid());
	if (write_key(mine, "# The key of this machine: for the history and sealed copies in state.db.\n", out, err))
		return err_wrap(err, "the key of this machine");
	int failed = link(mine, path) != 0 && errno != EEXIST ? err_errno(err, "%s", path) : 0;
	unlink(mine);
	return failed ? -1 : read_key_file(path, safe, out, err);
}
