/* The lease: who may change this place. An flock held for the agent's life, and an
 * epoch that tells an old holder from the new one where a lock file was replaced. */
#include "agent/render.h"
#include "agent/session.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

enum { LOCK_TEXT_MAX = 4096, RETRY_MS = 100, WAITING_EVERY_MS = 5000 };

struct holder {
	struct arena arena;
	const char *by, *deployment;
	int64_t since;
};

static void read_holder(struct session *session, struct holder *holder)
{
	AUTO(buf_free) struct buf text = BUF_INIT(LOCK_TEXT_MAX);
	struct record record;
	struct err err = ERR_INIT;

	holder->by = holder->deployment = "";
	holder->since = 0;
	if (file_read_at(session->place.private_fd, "lock", &text, &err) ||
	    record_parse_sealed(&holder->arena, slice_trim(buf_slice(&text)), &record, &err))
		return;
	holder->by = record_get_str(&holder->arena, &record, "by");
	holder->deployment = record_get_str(&holder->arena, &record, "deployment");
	holder->since = record_get_i64(&record, "since", 0);
}

/* The file we locked is still the one others will try to lock. */
static bool lock_is_current(struct session *session)
{
	struct stat ours, there;

	return fstat(session->lock_fd, &ours) == 0 &&
	       fstatat(session->place.private_fd, "lock", &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

static int try_lock(struct session *session, bool *got, struct err *err)
{
	*got = false;
	close_fd(&session->lock_fd);
	session->lock_fd =
		openat(session->place.private_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (session->lock_fd < 0)
		return err_errno(err, "%s/.lockstep/lock", session->place.path);
	if (flock(session->lock_fd, LOCK_EX | LOCK_NB) == 0)
		*got = lock_is_current(session);
	else if (errno != EWOULDBLOCK && errno != EINTR)
		return err_errno(err, "%s/.lockstep/lock", session->place.path);
	return 0;
}

static int send_waiting(struct session *session, const struct holder *holder, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(LOCK_TEXT_MAX * 4);

	record_begin(&text, "waiting");
	record_put_str(&text, "held_by", holder->by);
	record_put_i64(&text, "since", holder->since);
	record_put_str(&text, "deployment", holder->deployment);
	return session_send_record(session, MSG_WAITING, &text, err);
}

static int refuse_held(struct session *session, struct err *err)
{
	AUTO(buf_free) struct buf age = BUF_INIT(64);
	struct holder holder = {0};

	read_holder(session, &holder);
	clock_put_age(&age, holder.since, clock_wall_ms());
	err_set(err, ERR_CONFLICT, "%s is being deployed to by %s (deployment %s, begun %s)",
		session->place.path, *holder.by ? holder.by : "somebody",
		*holder.deployment ? holder.deployment : "unknown", buf_str(&age));
	err_hint(err, "wait for it (--wait 10m), or try again later; a holder that died is gone after 30 s "
		      "by itself");
	arena_free(&holder.arena);
	return -1;
}

static int take_lock(struct session *session, int64_t wait_ms, struct err *err)
{
	int64_t until = clock_mono_ms() + wait_ms, next_word = 0;
	bool got;

	for (;;) {
		if (try_lock(session, &got, err))
			return -1;
		if (got)
			return 0;
		int64_t now = clock_mono_ms();
		if (now >= until)
			return refuse_held(session, err);
		if (now >= next_word) {
			struct holder holder = {0};
			read_holder(session, &holder);
			int result = send_waiting(session, &holder, err);
			arena_free(&holder.arena);
			if (result)
				return -1;
			next_word = now + WAITING_EVERY_MS;
		}
		if (session_listen(session, RETRY_MS, err))
			return -1;
	}
}

static int write_holder(struct session *session, const struct record *request, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(LOCK_TEXT_MAX);

	record_begin(&text, "held");
	record_put(&text, "by", record_get(request, "by"));
	record_put(&text, "deployment", record_get(request, "deployment"));
	record_put_i64(&text, "since", clock_wall_ms());
	record_put_i64(&text, "pid", getpid());
	record_seal(&text, 0);
	if (buf_check(&text, "the lock's text", err))
		return -1;
	if (ftruncate(session->lock_fd, 0) != 0 || pwrite(session->lock_fd, text.ptr, text.len, 0) < 0)
		return err_errno(err, "%s/.lockstep/lock", session->place.path);
	return 0;
}

/* A place belongs to one environment of one project. */
static int check_owner(struct session *session, const struct record *request, bool *bound, struct err *err)
{
	struct state *state = &session->state;
	struct slice project = record_get(request, "project"),
		     environment = record_get(request, "environment");
	bool take_over = record_get_u64(request, "take_over", 0);

	*bound = !*state->project;
	if (!*bound && (!slice_is(project, state->project) || !slice_is(environment, state->environment)) &&
	    !take_over) {
		err_set(err, ERR_CONFLICT, "%s belongs to %s of %s, not to %.*s of %.*s", session->place.path,
			state->environment, state->project, SLICE_ARG(environment), SLICE_ARG(project));
		return err_hint(
			err, "give this environment another path, or pass --take-over if the place is really "
			     "to change hands");
	}
	*bound = *bound || !slice_is(project, state->project) || !slice_is(environment, state->environment);
	return 0;
}

/* The journal says it first, and from it a lost state is made again: a crash in between
 * binds once more, never silently. */
static int bind_place(struct session *session, const struct record *request, struct err *err)
{
	AUTO(buf_free) struct buf line = BUF_INIT(RECORD_LEN_MAX);
	struct state *state = &session->state;

	state->project = arena_str(&state->arena, record_get(request, "project"));
	state->environment = arena_str(&state->arena, record_get(request, "environment"));
	record_begin(&line, "bound");
	record_put_i64(&line, "at", clock_wall_ms());
	record_put_str(&line, "place_id", state->place_id);
	record_put_str(&line, "project", state->project);
	record_put_str(&line, "environment", state->environment);
	record_put(&line, "by", record_get(request, "by"));
	return journal_append(&session->place, &line, err) || fault_point("agent.lease.before_bound", err) ? -1 : 0;
}

static int remove_leftover(void *context, const char *name, struct err *err)
{
	struct session *session = context;
	char path[300];

	if (state_has_pending(&session->state) && strcmp(name, state_pending(&session->state, "name")) == 0)
		return 0;
	snprintf(path, sizeof(path), "prepare/%s", name);
	return session_remove_tree(session, session->place.private_fd, path, err);
}

/* Files that were being replaced durably (".name.tag", base/fd.h) and objects that did not come whole. */
static bool is_temporary(const char *name)
{
	size_t len = strlen(name);

	return (name[0] == '.' && len > 18 && name[len - 17] == '.') ||
	       (len == DIGEST_HEX_LEN + 4 && strcmp(name + DIGEST_HEX_LEN, ".new") == 0);
}

struct temporaries {
	struct session *session;
	const char *folder;
};

static int remove_temporary(void *context, const char *name, struct err *err)
{
	struct temporaries *temporaries = context;
	char path[300];

	if (!is_temporary(name))
		return 0;
	snprintf(path, sizeof(path), "%s/%s", temporaries->folder, name);
	if (unlinkat(temporaries->session->place.private_fd, path, 0) != 0 && errno != ENOENT)
		return err_errno(err, "%s", path);
	return 0;
}

/* What a crash may have left: a torn line, running hooks, half a tree. */
static int mend(struct session *session, struct err *err)
{
	bool cut;

	if (journal_mend(&session->place, &cut, err))
		return -1;
	if (cut) {
		AUTO(buf_free) struct buf line = BUF_INIT(RECORD_LEN_MAX);
		record_begin(&line, "note");
		record_put_i64(&line, "at", clock_wall_ms());
		record_put_str(&line, "text", "the last line was torn by a crash and has been cut off");
		if (journal_append(&session->place, &line, err))
			return -1;
	}
	hook_end_survivors(session);
	static const char *const folders[] = { ".", "manifests", "objects" };
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		struct temporaries temporaries = { session, folders[i] };
		if (dir_each_at(session->place.private_fd, folders[i], remove_temporary, &temporaries, err))
			return -1;
	}
	const char *pending = state_has_pending(&session->state) ? state_pending(&session->state, "name") : "";
	if (render_sweep(&session->place, pending, err))
		return -1;
	return dir_each_at(session->place.private_fd, "prepare", remove_leftover, session, err);
}

/* Numbers only ever go up, also where the state was lost or put back from a backup. */
static int raise_next(struct session *session, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char **names;
	uint64_t newest;
	size_t count;

	if (place_activations(&session->place, &arena, &names, &count, err))
		return -1;
	if (count && place_parse_name(slice_of(names[0]), &newest))
		session->state.next = MAX(session->state.next, newest + 1);
	return 0;
}

static int send_leased(struct session *session, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_SECRET(1024);
	char key[CONFIG_KEY_HEX_LEN + 1];
	struct live live;

	/* Another deployment may have ended while this one waited. */
	if (place_live(&session->place, &live, err))
		return -1;
	record_begin(&text, "leased");
	record_put_u64(&text, "epoch", session->epoch);
	record_put_str(&text, "place_id", session->state.place_id);
	record_put_u64(&text, "next", session->state.next);
	record_put_str(&text, "live", live.name);
	config_key_load(&session->place, key);
	record_put_opt(&text, "config_key", key);
	explicit_bzero(key, sizeof(key));
	return session_send_record(session, MSG_LEASED, &text, err);
}

/* The layout may have to be made: opens the place again, this time to change. */
static int open_to_change(struct session *session, struct err *err)
{
	struct place place;

	if (place_open(session->place.path, true, &place, err)) {
		place_close(&place);
		return -1;
	}
	place_close(&session->place);
	session->place = place;
	return 0;
}

/* The lock is ours: from here on nobody else changes anything. */
static int begin_epoch(struct session *session, const struct record *request, struct err *err)
{
	struct state *state = &session->state;
	char id[17];
	uint8_t random[8];
	const char *decided;
	bool bound;

	state_free(state);
	if (state_load(&session->place, state, err) || state_follow_journal(&session->place, state, err) ||
	    check_owner(session, request, &bound, err) || raise_next(session, err) || mend(session, err))
		return -1;
	/* Half the truth is worse than a refusal: a decision that cannot be read is found out now. */
	if (state_has_pending(state) &&
	    journal_decision(&session->place, state_pending(state, "deployment"), &decided, err))
		return -1;
	if (!*state->place_id) {
		random_bytes(random, sizeof(random));
		hex_encode(random, sizeof(random), id);
		state->place_id = arena_strdup(&state->arena, id);
	}
	if ((bound && bind_place(session, request, err)) || fault_point("agent.lease.before_epoch", err))
		return -1;
	session->epoch = ++state->epoch;
	return write_holder(session, request, err) || state_save(&session->place, state, err) ? -1 : 0;
}

/* Other tools that know this layout, and the file each has while it deploys. */
static int check_foreign_locks(struct session *session, struct err *err)
{
	static const struct {
		const char *file, *tool, *command;
	} locks[] = {
		{ ".dep/deploy.lock", "Deployer", "dep deploy:unlock" },
		{ "deploy.lock", "Mina", "mina deploy:force_unlock" },
	};
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(locks); i++) {
		if (fstatat(session->place.dir_fd, locks[i].file, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		err_set(err, ERR_CONFLICT, "%s is being deployed to by %s (it has %s)", session->place.path, locks[i].tool,
			locks[i].file);
		return err_hint(err, "wait for it; a lock left behind goes with `%s`, or by removing that file",
				locks[i].command);
	}
	return 0;
}

int handle_lease(struct session *session, const struct record *request, struct err *err)
{
	if (open_to_change(session, err) || take_lock(session, record_get_i64(request, "wait_ms", 0), err))
		return -1;
	if (check_foreign_locks(session, err) || begin_epoch(session, request, err)) {
		close_fd(&session->lock_fd);
		return -1;
	}
	session->leased = true;
	fault_mark("agent.lease.after_epoch");
	return send_leased(session, err) || session_send_state(session, err) ? -1 : 0;
}

int session_check_lease(struct session *session, const struct record *request, struct err *err)
{
	AUTO(state_free) struct state now = {0};
	uint64_t epoch;

	if (!session->leased)
		return err_set(err, ERR_CONFLICT, "there is no lease");
	if (record_need_u64(request, "epoch", &epoch, err) || state_load(&session->place, &now, err))
		return -1;
	if (epoch == session->epoch && now.epoch == session->epoch && lock_is_current(session))
		return 0;
	err_set(err, ERR_CONFLICT, "the lease of %s is with somebody else now (epoch %llu, ours is %llu)",
		session->place.path, (unsigned long long)now.epoch, (unsigned long long)session->epoch);
	return err_hint(err, "another controller took over; look at `lockstep status`, then plan again");
}

int session_check_pending(struct session *session, const struct record *request, struct err *err)
{
	struct slice deployment;

	if (session_check_lease(session, request, err) ||
	    record_need(request, "deployment", &deployment, err))
		return -1;
	/* An empty name must not equal that of no deployment. */
	if (!state_has_pending(&session->state) || deployment.len == 0 ||
	    !slice_is(deployment, state_pending(&session->state, "deployment")))
		return err_set(err, ERR_CONFLICT, "deployment %.*s is not under way here",
			       SLICE_ARG(deployment));
	return 0;
}
