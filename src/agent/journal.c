#include "agent/journal.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int journal_append(const struct place *place, struct buf *text, struct err *err)
{
	record_seal(text, 0);
	if (buf_check(text, "a journal line", err) || fault_point("agent.journal.before_append", err))
		return -1;
	AUTO(close_fd) int fd = openat(place->private_fd, "journal",
				       O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "%s/.lockstep/journal", place->path);
	struct stat before;
	if (fstat(fd, &before) != 0)
		return err_errno(err, "%s/.lockstep/journal", place->path);
	if (fd_write_all(fd, text->ptr, text->len, err) == 0) {
		if (fsync(fd) != 0)
			err_errno(err, "sync");
		else if (before.st_size > 0 || dir_sync(place->private_fd, err) == 0) {
			fault_mark("agent.journal.after_append");
			return 0;
		}
	}
	/* Half a line must not stand before the next one. */
	(void)!ftruncate(fd, before.st_size);
	return err_wrap(err, "%s/.lockstep/journal", place->path);
}

int journal_mend(const struct place *place, bool *cut_out, struct err *err)
{
	char tail[4096];
	AUTO(close_fd) int fd = openat(place->private_fd, "journal", O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	*cut_out = false;
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "%s/.lockstep/journal", place->path);
	off_t size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return err_errno(err, "%s/.lockstep/journal", place->path);
	off_t end = size;
	while (end > 0) {
		size_t piece = (size_t)MIN(end, (off_t)sizeof(tail));
		if (pread(fd, tail, piece, end - (off_t)piece) != (ssize_t)piece)
			return err_errno(err, "%s/.lockstep/journal", place->path);
		size_t at = piece;
		while (at > 0 && tail[at - 1] != '\n')
			at--;
		end -= (off_t)(piece - at);
		if (at > 0)
			break;
	}
	if (end == size)
		return 0;
	if (ftruncate(fd, end) != 0 || fsync(fd) != 0)
		return err_errno(err, "%s/.lockstep/journal", place->path);
	*cut_out = true;
	return 0;
}

int journal_each(const struct place *place, journal_visit *visit, void *context, struct err *err)
{
	AUTO(buf_free) struct buf bytes = BUF_INIT(JOURNAL_READ_MAX + 1);

	if (place->private_fd < 0)
		return 0;
	AUTO(close_fd) int fd = openat(place->private_fd, "journal", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "%s/.lockstep/journal", place->path);
	off_t size = lseek(fd, 0, SEEK_END);
	off_t start = size > JOURNAL_READ_MAX ? size - JOURNAL_READ_MAX : 0;
	if (size < 0 || lseek(fd, start, SEEK_SET) < 0)
		return err_errno(err, "%s/.lockstep/journal", place->path);
	if (fd_read_all(fd, &bytes, err))
		return err_wrap(err, "%s/.lockstep/journal", place->path);
	struct slice rest = buf_slice(&bytes);
	if (start > 0)
		slice_cut(&rest, '\n');
	while (rest.len) {
		struct slice line = slice_cut(&rest, '\n');
		/* Without its newline the last line is torn: it never happened. */
		if (!rest.ptr)
			break;
		if (visit(context, line, err))
			return -1;
	}
	return 0;
}

struct accounting {
	struct arena *arena;
	struct arena scratch;
	struct account *accounts;
	size_t count, cap;
	struct map by_deployment; /* → index + 1 */
};

static void begin_account(struct accounting *a, const struct record *record)
{
	if (a->count == a->cap) {
		a->cap = MAX(a->cap * 2, (size_t)32);
		a->accounts = mem_grow(a->accounts, a->cap, sizeof(*a->accounts));
	}
	struct account *account = &a->accounts[a->count++];
	*account = (struct account){
		.name = record_get_str(a->arena, record, "name"),
		.release = record_get_str(a->arena, record, "release"),
		.config = record_get_str(a->arena, record, "config"),
		.own_config = record_get_str(a->arena, record, "own_config"),
		.deployment = record_get_str(a->arena, record, "deployment"),
		.commit = record_get_str(a->arena, record, "commit"),
		.subject = record_get_str(a->arena, record, "subject"),
		.by = record_get_str(a->arena, record, "by"),
		.plan = record_get_str(a->arena, record, "plan"),
		.kind = record_get_str(a->arena, record, "kind"),
		.shape = record_get_str(a->arena, record, "shape"),
		.verdict = "prepared",
		.receipt = "",
		.at = record_get_i64(record, "at", 0),
	};
	map_put(&a->by_deployment, slice_of(account->deployment), (void *)(uintptr_t)a->count);
}

static int account_line(void *context, struct slice line, struct err *err)
{
	static const char *const verdicts[] = { "activated", "verified", "live", "failed", "reverted", "abandoned" };
	struct accounting *a = context;
	struct record record;
	struct err damage = ERR_INIT;

	(void)err;
	arena_free(&a->scratch);
	/* A damaged line says nothing; what stands around it still counts. */
	if (record_parse_sealed(&a->scratch, line, &record, &damage))
		return 0;
	if (slice_is(record.kind, "prepared")) {
		begin_account(a, &record);
		return 0;
	}
	uintptr_t index = (uintptr_t)map_get(&a->by_deployment, record_get(&record, "deployment"));
	if (!index)
		return 0;
	struct account *account = &a->accounts[index - 1];
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++)
		if (slice_is(record.kind, verdicts[i]))
			account->verdict = verdicts[i];
	if (slice_is(record.kind, "activated"))
		account->at = record_get_i64(&record, "at", account->at);
	if (slice_is(record.kind, "verified")) {
		account->receipt = record_get_str(a->arena, &record, "receipt");
		account->verified_at = record_get_i64(&record, "at", 0);
	}
	return 0;
}

int journal_accounts(const struct place *place, struct arena *arena, struct account **accounts_out, size_t *count_out,
		     struct err *err)
{
	struct accounting a = { .arena = arena };
	int result = journal_each(place, account_line, &a, err);

	*accounts_out = ARENA_NEW_ARRAY(arena, a.count, struct account);
	*count_out = a.count;
	if (a.count)
		memcpy(*accounts_out, a.accounts, a.count * sizeof(*a.accounts));
	free(a.accounts);
	map_free(&a.by_deployment);
	arena_free(&a.scratch);
	return result;
}

const struct account *account_find(const struct account *accounts, size_t count, const char *name)
{
	for (size_t i = count; i > 0; i--)
		if (strcmp(accounts[i - 1].name, name) == 0)
			return &accounts[i - 1];
	return NULL;
}

/* One deployment's lines, in order. */
struct following {
	const char *deployment;
	const char *decision;
	bool prepared;
	uint64_t line, damaged; /* numbers; 0: none is */
	struct arena scratch;
};

static int follow_line(void *context, struct slice line, struct err *err)
{
	struct following *following = context;
	struct record record;
	struct err damage = ERR_INIT;

	(void)err;
	following->line++;
	arena_free(&following->scratch);
	if (record_parse_sealed(&following->scratch, line, &record, &damage)) {
		following->damaged = following->line;
		return 0;
	}
	if (!slice_is(record_get(&record, "deployment"), following->deployment))
		return 0;
	if (slice_is(record.kind, "prepared")) {
		following->prepared = true;
		following->damaged = 0;
	}
	if (slice_is(record.kind, "commit"))
		following->decision = "commit";
	if (slice_is(record.kind, "go-back"))
		following->decision = "go-back";
	return 0;
}

int journal_decision(const struct place *place, const char *deployment, const char **out, struct err *err)
{
	struct following following = { .deployment = deployment, .decision = "" };

	int result = journal_each(place, follow_line, &following, err);
	arena_free(&following.scratch);
	*out = following.decision;
	if (result)
		return -1;
	if (!following.damaged || !following.prepared)
		return 0;
	err_set(err, ERR_INTERNAL, "%s/.lockstep/journal: line %llu is damaged, and may be the decision about deployment %s",
		place->path, (unsigned long long)following.damaged, deployment);
	return err_hint(err, "look at that line: take it out when it says nothing about the decision; otherwise see which "
			     "activation the other servers show, and let `current` show the same here");
}

struct closing {
	const char *name;
	bool closed;
	struct arena scratch;
};

static int closing_line(void *context, struct slice line, struct err *err)
{
	static const char *const kinds[] = { "verified", "live", "failed", "restored", "abandoned" };
	struct closing *closing = context;
	struct record record;
	struct err damage = ERR_INIT;

	(void)err;
	arena_free(&closing->scratch);
	if (record_parse_sealed(&closing->scratch, line, &record, &damage) ||
	    !slice_is(record_get(&record, "name"), closing->name))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		closing->closed = closing->closed || slice_is(record.kind, kinds[i]);
	return 0;
}

int journal_is_closed(const struct place *place, const char *name, bool *out, struct err *err)
{
	struct closing closing = { .name = name };
	int result = journal_each(place, closing_line, &closing, err);

	arena_free(&closing.scratch);
	*out = closing.closed;
	return result;
}

struct owning {
	struct arena *arena;
	struct journal_place *out;
	struct arena scratch;
};

static int owning_line(void *context, struct slice line, struct err *err)
{
	struct owning *owning = context;
	struct journal_place *out = owning->out;
	struct record record;
	struct err damage = ERR_INIT;

	(void)err;
	arena_free(&owning->scratch);
	if (record_parse_sealed(&owning->scratch, line, &record, &damage))
		return 0;
	if (slice_is(record.kind, "bound")) {
		out->place_id = record_get_str(owning->arena, &record, "place_id");
		out->project = record_get_str(owning->arena, &record, "project");
		out->environment = record_get_str(owning->arena, &record, "environment");
	}
	out->number = MAX(out->number, record_get_u64(&record, "number", 0));
	return 0;
}

int journal_place(const struct place *place, struct arena *arena, struct journal_place *out, struct err *err)
{
	struct owning owning = { .arena = arena, .out = out };

	*out = (struct journal_place){ "", "", "", 0 };
	int result = journal_each(place, owning_line, &owning, err);
	arena_free(&owning.scratch);
	return result;
}
