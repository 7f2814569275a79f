/* PRUNE: which activations stay, and taking the others away.
 *
 * Kept are the live one, the newest `keep` good ones (live or verified, the live
 * one among them), the newest good one before the live one, the two newest that
 * failed (as evidence; they never push a good one out), what is under way and its
 * way back, and every one a process still uses. */
#include "agent/render.h"
#include "agent/scan.h"
#include "agent/uses.h"

#include "base/fault.h"
#include "base/fd.h"
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FAILED_KEPT = 2, ASIDE_KEPT = 10, AGENT_KEPT_S = 30 * 86400 };

struct prune {
	struct session *session;
	struct arena arena;
	const char **names;
	size_t count;
	bool *stays;
	int releases_fd;
	size_t asides;
	struct buf reply;
	bool problem;
};

static bool is_good(const struct account *account)
{
	return account &&
	       (strcmp(account->verdict, "live") == 0 || strcmp(account->verdict, "verified") == 0);
}

/* What is under way, and where it would go back to. */
static bool is_pending(struct state *state, const char *name)
{
	struct slice previous = slice_of(state_pending(state, "previous"));

	return strcmp(state_pending(state, "name"), name) == 0 ||
	       (slice_starts_with(previous, "releases/") && slice_is(slice_skip(previous, 9), name));
}

static int choose(struct prune *prune, uint64_t keep, struct err *err)
{
	struct session *session = prune->session;
	struct account *accounts;
	struct uses uses;
	struct live live;
	size_t account_count, good = 0, failed = 0;
	bool have_way_back = false, seen_live = false, have_uses = false;

	if (place_live(&session->place, &live, err) ||
	    place_activations(&session->place, &prune->arena, &prune->names, &prune->count, err) ||
	    journal_accounts(&session->place, &prune->arena, &accounts, &account_count, err))
		return -1;
	prune->stays = ARENA_NEW_ARRAY(&prune->arena, prune->count, bool);
	for (size_t i = 0; i < prune->count; i++) {
		const char *name = prune->names[i];
		const struct account *account = account_find(accounts, account_count, name);
		bool is_live = strcmp(name, live.name) == 0;
		/* What the journal does not know was put there by somebody: not ours to remove. */
		bool stays = is_live || !account || is_pending(&session->state, name);
		if (is_live || is_good(account)) {
			stays = stays || good < keep || (seen_live && !have_way_back);
			have_way_back = have_way_back || (seen_live && is_good(account));
			seen_live = seen_live || is_live;
			good++;
		} else if (!stays) {
			stays = failed++ < FAILED_KEPT;
		}
		/* To look at all processes takes longer than all else here: only when one would go. */
		if (!stays && !have_uses &&
		    uses_find(&prune->arena, arena_printf(&prune->arena, "%s/releases", session->place.path),
			      &uses, err))
			return -1;
		have_uses = have_uses || !stays;
		if (!stays && uses_has(&uses, name)) {
			record_put_str(&prune->reply, "in_use", name);
			stays = true;
		}
		prune->stays[i] = stays;
	}
	return 0;
}

static void report_trash(struct prune *prune, const char *name, const struct err *err)
{
	record_put_str(&prune->reply, "trashed", name);
	if (prune->problem)
		return;
	prune->problem = true;
	char text[ERR_TEXT_MAX + 512];
	snprintf(text, sizeof(text),
		 "%s; it lies in %s/.lockstep/trash. The application's user owns what it wrote there: let "
		 "the deploy "
		 "user remove the folder (it is made again) with this line in sudoers: %s ALL=(root) "
		 "NOPASSWD: "
		 "/bin/rm -rf %s/.lockstep/trash",
		 err->text, prune->session->place.path, getenv("USER") ? getenv("USER") : "DEPLOYUSER",
		 prune->session->place.path);
	record_put_str(&prune->reply, "problem", text);
}

static int remove_activation(struct prune *prune, const char *name, struct err *err)
{
	const struct place *place = &prune->session->place;
	char path[PLACE_NAME_MAX + 32], trash[PLACE_NAME_MAX + 32];
	struct err refused = ERR_INIT;

	snprintf(trash, sizeof(trash), "trash/%s", name);
	/* In one step out of sight: never half an activation in releases/. */
	if (fault_point("agent.prune.before_rename", err))
		return -1;
	if (renameat(prune->releases_fd, name, place->private_fd, trash) != 0) {
		err_errno(&refused, "%s/releases/%s", place->path, name);
		report_trash(prune, name, &refused);
		return 0;
	}
	snprintf(path, sizeof(path), "manifests/%s", name);
	if (tree_remove_at(place->private_fd, path, err) || render_forget(place, name, err) ||
	    fault_point("agent.prune.after_rename", err))
		return -1;
	if (tree_remove_at(place->private_fd, trash, &refused)) {
		report_trash(prune, name, &refused);
		return 0;
	}
	record_put_str(&prune->reply, "removed", name);
	return 0;
}

/* Objects and release manifests that no kept activation needs. */
struct sweep {
	struct prune *prune;
	struct map releases; /* hex names of kept releases */
	struct map objects;  /* digests a kept release may take from objects/ */
	struct arena arena;
};

/* A crash between taking an activation away and forgetting its manifest. */
static bool is_orphan(struct prune *prune, const char *name)
{
	for (size_t i = 0; i < prune->count; i++)
		if (strcmp(prune->names[i], name) == 0)
			return !prune->stays[i];
	return !is_pending(&prune->session->state, name);
}

static int sweep_manifest(void *context, const char *name, struct err *err)
{
	struct sweep *sweep = context;
	char path[300];

	if (slice_starts_with(slice_of(name), "release-")
		    ? map_get(&sweep->releases, slice_of(name + 8)) != NULL
		    : !is_orphan(sweep->prune, name))
		return 0;
	snprintf(path, sizeof(path), "manifests/%s", name);
	return tree_remove_at(sweep->prune->session->place.private_fd, path, err);
}

static int sweep_object(void *context, const char *name, struct err *err)
{
	struct sweep *sweep = context;
	struct digest digest;
	char path[300];

	if (digest_from_hex(slice_of(name), &digest) &&
	    map_get(&sweep->objects, slice_make(digest.bytes, DIGEST_LEN)))
		return 0;
	snprintf(path, sizeof(path), "objects/%s", name);
	return tree_remove_at(sweep->prune->session->place.private_fd, path, err);
}

static void need_object(struct sweep *sweep, const struct digest *digest)
{
	struct digest *kept = ARENA_NEW(&sweep->arena, struct digest);

	*kept = *digest;
	map_put(&sweep->objects, slice_make(kept->bytes, DIGEST_LEN), sweep);
}

/* One activation at a time: a large one takes megabytes. */
static int note_needed(struct sweep *sweep, const char *name, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const struct place *place = &sweep->prune->session->place;
	struct own_manifest own;
	struct manifest release;
	bool shared = false;

	if (own_load(place, name, &arena, NULL, &own, err))
		return -1;
	char *hex = arena_alloc(&sweep->arena, DIGEST_HEX_LEN + 1);
	digest_to_hex(&own.release, hex);
	map_put(&sweep->releases, slice_of(hex), sweep);
	for (size_t e = 0; e < own.count; e++) {
		shared = shared || own.entries[e].show == SHOW_SHARED || own.entries[e].show == SHOW_RENDERED;
		if (own.entries[e].show == SHOW_COVERED || own.entries[e].show == SHOW_GENERATED)
			need_object(sweep, &own.entries[e].entry.digest);
	}
	/* The release's entry is covered by our link or by a config file. */
	if (!shared || release_manifest_load(place, hex, &arena, &release, err))
		return 0;
	for (size_t e = 0; e < own.count; e++) {
		if (own.entries[e].show != SHOW_SHARED && own.entries[e].show != SHOW_RENDERED)
			continue;
		const struct entry *entry = manifest_find(&release, own.entries[e].entry.path);
		if (entry)
			need_object(sweep, &entry->digest);
	}
	return 0;
}

static int sweep_unneeded(struct prune *prune, struct err *err)
{
	const struct place *place = &prune->session->place;
	struct sweep sweep = {.prune = prune};
	int result = 0;

	for (size_t i = 0; i < prune->count; i++) {
		struct err unreadable = ERR_INIT;
		if (!prune->stays[i])
			continue;
		/* What an unreadable one needs is unknown: everything stays. */
		if (note_needed(&sweep, prune->names[i], &unreadable) && unreadable.code != ERR_NOT_FOUND)
			goto out;
	}
	result = dir_each_at(place->private_fd, "manifests", sweep_manifest, &sweep, err) ||
		 dir_each_at(place->private_fd, "objects", sweep_object, &sweep, err);
out:
	map_free(&sweep.releases);
	map_free(&sweep.objects);
	arena_free(&sweep.arena);
	return result ? -1 : 0;
}

static int empty_trash(void *context, const char *name, struct err *err)
{
	struct prune *prune = context;
	struct err refused = ERR_INIT;
	char path[300];

	(void)err;
	snprintf(path, sizeof(path), "trash/%s", name);
	if (tree_remove_at(prune->session->place.private_fd, path, &refused))
		report_trash(prune, name, &refused);
	return 0;
}

static int count_aside(void *context, const char *name, struct err *err)
{
	(void)name, (void)err;
	((struct prune *)context)->asides++;
	return 0;
}

/* Deployments are named by their date: the oldest come first. */
static int drop_aside(void *context, const char *name, struct err *err)
{
	struct prune *prune = context;
	char path[300];

	snprintf(path, sizeof(path), "aside/%s", name);
	if (prune->asides <= ASIDE_KEPT)
		return 0;
	prune->asides--;
	return tree_remove_at(prune->session->place.private_fd, path, err);
}

/* Agents of other versions of lockstep: whoever still comes with one brings it again. */
static int drop_agent(void *context, const char *name, struct err *err)
{
	struct prune *prune = context;
	int private_fd = prune->session->place.private_fd;
	struct stat st, self;

	(void)err;
	if (strncmp(name, "agent-", 6) != 0 || fstatat(private_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode) || st.st_mtime > time(NULL) - AGENT_KEPT_S)
		return 0;
	if (stat("/proc/self/exe", &self) == 0 && self.st_dev == st.st_dev && self.st_ino == st.st_ino)
		return 0;
	unlinkat(private_fd, name, 0);
	return 0;
}

static int prune_all(struct prune *prune, uint64_t keep, struct err *err)
{
	struct session *session = prune->session;
	AUTO(close_fd) int root_fd = -1;
	AUTO(close_fd) int releases = -1;
	struct own_manifest own = {0};
	struct live live;
	struct err unusable = ERR_INIT;
	bool *intact = NULL;

	if (place_open_releases(&session->place, &releases, err))
		return -1;
	prune->releases_fd = releases;
	if (choose(prune, keep, err) || place_live(&session->place, &live, err))
		return -1;
	/* Unlinking moves the ctime of files that the live activation shares: know
	 * before which are intact, so that only those are signed again. */
	bool refresh = live.name[0] &&
		       own_load(&session->place, live.name, &prune->arena, NULL, &own, &unusable) == 0 &&
		       activation_open(&session->place, live.name, &root_fd, &unusable) == 0;
	bool removes = false;
	for (size_t i = 0; i < prune->count; i++)
		removes = removes || !prune->stays[i];
	if (removes && refresh) {
		intact = ARENA_NEW_ARRAY(&prune->arena, own.count, bool);
		struct scan scan = {.session = session, .own = &own, .root_fd = root_fd, .intact = intact};
		if (scan_run(&scan, err))
			return -1;
	}
	for (size_t i = 0; i < prune->count; i++)
		if (!prune->stays[i] && remove_activation(prune, prune->names[i], err))
			return -1;
	if (intact && scan_refresh(&session->place, live.name, root_fd, &own, intact, err))
		return -1;
	if (removes && sweep_unneeded(prune, err))
		return -1;
	if (dir_each_at(session->place.private_fd, "aside", count_aside, prune, err) ||
	    dir_each_at(session->place.private_fd, "aside", drop_aside, prune, err))
		return -1;
	if (dir_each_at(session->place.private_fd, ".", drop_agent, prune, err))
		return -1;
	return dir_each_at(session->place.private_fd, "trash", empty_trash, prune, err);
}

/* The line is written: failing to tidy up is told, and changes nothing about it. */
int prune_after_record(struct session *session, uint64_t keep, struct err *err)
{
	struct prune prune = {.session = session, .reply = BUF_INIT(RECORD_LEN_MAX)};
	struct err why = ERR_INIT;

	record_begin(&prune.reply, "pruned");
	if (prune_all(&prune, keep, &why) && !session->lost) {
		buf_clear(&prune.reply);
		record_begin(&prune.reply, "pruned");
		record_put_str(&prune.reply, "problem", why.text);
	}
	int result = session_send_record(session, MSG_PRUNED, &prune.reply, err);
	buf_free(&prune.reply);
	arena_free(&prune.arena);
	return result;
}

int handle_prune(struct session *session, const struct record *request, struct err *err)
{
	struct prune prune = {.session = session, .reply = BUF_INIT(RECORD_LEN_MAX)};
	uint64_t keep;

	if (session_check_lease(session, request, err) || record_need_u64(request, "keep", &keep, err))
		return -1;
	record_begin(&prune.reply, "pruned");
	int result = prune_all(&prune, MAX(keep, (uint64_t)1), err);
	if (result == 0)
		result = session_send_record(session, MSG_PRUNED, &prune.reply, err);
	buf_free(&prune.reply);
	arena_free(&prune.arena);
	return result;
}
