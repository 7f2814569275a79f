/* The table of providers, and what holds for all of them: an address finds its row,
 * entries come sorted and with valid names, those over a network are asked at once. */
#include "secret/provider.h"

#include "base/fd.h"
#include "secret/list.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>

enum { THREADS_MAX = 16, NAME_MAX_LEN = 255 };

const struct provider *const providers[] = {
	&provider_dotenv,
	&provider_sealed,
	&provider_vault,
	&provider_ssm,
	&provider_secretsmanager,
	&provider_sops,
	&provider_doppler,
	&provider_infisical,
	&provider_command,
};
const size_t provider_count = ARRAY_LEN(providers);

/* ---- addresses ---- */

static struct slice scheme_of(struct slice url)
{
	ptrdiff_t colon = slice_find(url, ':');
	return slice_make(url.ptr, colon > 0 ? (size_t)colon : 0);
}

static int unknown(struct slice url, struct slice scheme, struct err *err)
{
	const struct provider *nearest = NULL;
	AUTO(buf_free) struct buf shown = BUF_INIT(200);
	size_t best = 3;

	/* The address is cut at its path: somebody may have put a credential into it. */
	buf_put_printable(&shown, slice_make(scheme.ptr, MIN(scheme.len, (size_t)40)));
	for (size_t i = 0; i < provider_count && scheme.len; i++) {
		size_t distance = slice_edit_distance(slice_of(providers[i]->scheme), scheme);
		if (distance < best) {
			best = distance;
			nearest = providers[i];
		}
	}
	if (scheme.len == 0) {
		buf_put_printable(&shown, slice_make(url.ptr, MIN(url.len, (size_t)100)));
		err_set(err, ERR_USER, "\"%s\" does not say which provider it is for", buf_str(&shown));
		return err_hint(err, "an address begins with a scheme: %s:%s for a .env file", provider_dotenv.scheme,
				buf_str(&shown));
	}
	err_set(err, ERR_USER, "there is no provider \"%s:\"", buf_str(&shown));
	if (nearest)
		return err_hint(err, "did you mean %s?", nearest->form);
	AUTO(buf_free) struct buf all = BUF_INIT(1024);
	for (size_t i = 0; i < provider_count; i++)
		buf_printf(&all, "%s%s:", i ? ", " : "", providers[i]->scheme);
	return err_hint(err, "there are: %s", buf_str(&all));
}

int provider_find(struct slice url, const struct provider **out, struct err *err)
{
	struct slice scheme = scheme_of(url);

	for (size_t i = 0; i < provider_count; i++)
		if (slice_is(scheme, providers[i]->scheme)) {
			*out = providers[i];
			return 0;
		}
	return unknown(url, scheme, err);
}

/* ---- entries ---- */

static bool name_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_LEN || (name[0] >= '0' && name[0] <= '9'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!((name[i] >= 'A' && name[i] <= 'Z') || (name[i] >= 'a' && name[i] <= 'z') ||
		      (name[i] >= '0' && name[i] <= '9') || name[i] == '_'))
			return false;
	return true;
}

static int compare_entries(const void *a, const void *b)
{
	const struct provider_entry *left = a, *right = b;
	int by_name = strcmp(left->name, right->name);
	return by_name ? by_name : strcmp(left->place, right->place);
}

static int check_entries(const struct provider_call *call, const struct provider *provider,
			 const struct provider_entries *entries, struct err *err)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct provider_entry *entry = &entries->items[i];
		AUTO(buf_free) struct buf shown = BUF_INIT(1024);
		buf_put_printable(&shown, slice_make(entry->name, MIN(strlen(entry->name), (size_t)100)));
		if (!name_valid(entry->name)) {
			err_set(err, ERR_USER, "%s: \"%s\" cannot be the name of a variable", entry->place, buf_str(&shown));
			return err_hint(err, "rename it there, or name it where the address stands: "
					     "`keys: { NAME: \"%s\" }`", buf_str(&shown));
		}
		if (i && strcmp(entry->name, entry[-1].name) == 0)
			return err_set(err, ERR_USER, "%s stands twice: %s and %s", entry->name, entry[-1].place, entry->place);
		if (!call->names_only && !secret_present(entry->value))
			return err_set(err, ERR_INTERNAL, "%s gave no value for %s", provider->name, entry->name);
	}
	return 0;
}

int provider_read(const struct provider_call *call, struct provider_entries *out, struct err *err)
{
	const struct provider *provider;

	*out = (struct provider_entries){0};
	if (provider_find(slice_of(call->url), &provider, err))
		return -1;
	const char *fault = provider->check(slice_of(call->url));
	if (fault) {
		err_set(err, ERR_USER, "an address of %s is wrong: %s", provider->name, fault);
		return err_hint(err, "it is written %s, such as %s", provider->form, provider->example);
	}
	if (provider->read(call, out, err))
		return -1;
	if (out->count > PROVIDER_ENTRIES_MAX)
		return err_set(err, ERR_USER, "%s: %zu entries are more than %d", provider->name, out->count,
			       PROVIDER_ENTRIES_MAX);
	if (out->count)
		qsort(out->items, out->count, sizeof(*out->items), compare_entries);
	return check_entries(call, provider, out, err);
}

static int compare_to_name(const void *name, const void *entry)
{
	return strcmp(name, ((const struct provider_entry *)entry)->name);
}

int provider_map_entries(const struct provider_call *call, struct provider_entries *entries, struct err *err)
{
	AUTO(buf_free) struct buf missing = BUF_INIT(1500);
	size_t missing_count = 0;

	if (call->mapping_count == 0)
		return 0;
	if (entries->count)
		qsort(entries->items, entries->count, sizeof(*entries->items), compare_entries);
	struct provider_entry *mapped = ARENA_NEW_ARRAY(call->arena, call->mapping_count, struct provider_entry);
	size_t count = 0;
	for (size_t i = 0; i < call->mapping_count; i++) {
		const struct provider_entry *entry =
			entries->count ? bsearch(call->mappings[i].path, entries->items, entries->count,
						 sizeof(*entries->items), compare_to_name)
				       : NULL;
		if (entry) {
			mapped[count] = *entry;
			mapped[count++].name = call->mappings[i].name;
			continue;
		}
		if (missing_count++ < 10)
			buf_printf(&missing, "%s%s (for %s)", missing_count > 1 ? ", " : "", call->mappings[i].path,
				   call->mappings[i].name);
	}
	if (missing_count > 10)
		buf_printf(&missing, " and %zu more", missing_count - 10);
	entries->items = mapped;
	entries->count = count;
	return missing_count ? err_set(err, ERR_NOT_FOUND, "%s does not hold %s", call->url, buf_str(&missing)) : 0;
}

/* ---- files ---- */

const char *provider_check_file(struct slice url)
{
	struct slice path = url;

	slice_cut(&path, ':');
	ptrdiff_t query = path.ptr ? slice_find(path, '?') : -1;
	if (query >= 0)
		path.len = (size_t)query;
	if (path.len == 0)
		return "it names no file";
	if (slice_find(path, '\0') >= 0)
		return "it holds a NUL byte";
	if (slice_starts_with(path, "//"))
		return "a path follows the colon, without slashes of its own";
	return NULL;
}

const char *provider_file_of(const struct provider_call *call, const char **shown_out)
{
	struct slice path = slice_of(call->url);

	slice_cut(&path, ':');
	ptrdiff_t query = slice_find(path, '?');
	if (query >= 0)
		path.len = (size_t)query;
	*shown_out = arena_str(call->arena, path);
	if (path.len && path.ptr[0] == '/')
		return *shown_out;
	return call->folder ? arena_printf(call->arena, "%s/%s", call->folder, *shown_out) : *shown_out;
}

int provider_read_file(const struct provider_call *call, const char *provider, struct buf *out, struct err *err)
{
	const char *shown, *path = provider_file_of(call, &shown);

	/* file_read_at would wait for a writer of a FIFO. */
	AUTO(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0) {
		bool missing = errno == ENOENT;
		err_errno(err, "%s: %s", provider, shown);
		return missing && shown[0] != '/' ? err_hint(err, "its path is relative to the folder of lockstep.yml") : -1;
	}
	if (S_ISDIR(status.st_mode))
		return err_set(err, ERR_USER, "%s: %s is a folder", provider, shown);
	if (S_ISREG(status.st_mode) && (uint64_t)status.st_size > out->max)
		return err_set(err, ERR_USER, "%s: %s is larger than %zu bytes", provider, shown, out->max);
	if (fd_set_nonblocking(fd, false, err) || fd_read_all(fd, out, err))
		return err_wrap(err, "%s: %s", provider, shown);
	return 0;
}

/* ---- several at once ---- */

struct reading {
	const struct provider_call *call;
	struct provider_entries *result;
	struct err err;
	int failed;
	bool local;
};

struct line { /* of readings for the threads */
	struct reading *readings;
	size_t count, next;
	pthread_mutex_t mutex;
};

static void *read_some(void *context)
{
	struct line *line = context;

	while (true) {
		pthread_mutex_lock(&line->mutex);
		while (line->next < line->count && line->readings[line->next].local)
			line->next++;
		size_t at = line->next++;
		pthread_mutex_unlock(&line->mutex);
		if (at >= line->count)
			return NULL;
		struct reading *reading = &line->readings[at];
		reading->failed = provider_read(reading->call, reading->result, &reading->err);
	}
}

static bool is_local(const struct provider_call *call)
{
	struct err ignored = ERR_INIT;
	const struct provider *provider;

	/* One that is not found only has its error to tell. */
	return provider_find(slice_of(call->url), &provider, &ignored) || provider->local;
}

static int join_errors(const struct reading *readings, size_t count, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(sizeof(err->text) - 64);
	const struct reading *first = NULL;
	size_t failed = 0, told = 0;

	for (size_t i = 0; i < count; i++) {
		const struct reading *reading = &readings[i];
		if (!reading->failed)
			continue;
		first = first ? first : reading;
		failed++;
		if (text.len + strlen(reading->err.text) + 1 > text.max)
			continue;
		told++;
		buf_printf(&text, "%s%s", text.len ? "\n" : "", reading->err.text);
	}
	if (!first)
		return 0;
	err_set(err, first->err.code, "%s", told ? buf_str(&text) : first->err.text);
	if (told && told < failed)
		err_set(err, first->err.code, "%s\nand %zu more", buf_str(&text), failed - told);
	return *first->err.hint ? err_hint(err, "%s", first->err.hint) : -1;
}

int providers_read(const struct provider_call *calls, size_t count, struct provider_entries *results,
		   struct err *err)
{
	AUTO(mem_free_ptr) struct reading *readings = mem_array(count, sizeof(*readings));
	struct line line = {.readings = readings, .count = count, .mutex = PTHREAD_MUTEX_INITIALIZER};
	pthread_t threads[THREADS_MAX];
	size_t waiting = 0, started = 0;

	for (size_t i = 0; i < count; i++) {
		readings[i] = (struct reading){.call = &calls[i], .result = &results[i], .local = is_local(&calls[i])};
		waiting += !readings[i].local;
	}
	while (started < MIN(waiting, (size_t)THREADS_MAX) &&
	       pthread_create(&threads[started], NULL, read_some, &line) == 0)
		started++;
	for (size_t i = 0; i < count; i++)
		if (readings[i].local)
			readings[i].failed = provider_read(readings[i].call, readings[i].result, &readings[i].err);
	read_some(&line); /* this thread helps, and is enough where none could be started */
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return join_errors(readings, count, err);
}
