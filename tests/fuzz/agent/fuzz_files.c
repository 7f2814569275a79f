/* What lies in .lockstep, damaged in any way: the own manifest of an activation (m), a
 * release's manifest (r), the state (s), the journal (j), as the first byte says. What
 * can be read must come back the same when it is written and read again. */
#include "agent/journal.h"
#include "agent/signature.h"
#include "agent/state.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct place place = {NULL, -1, -1};
static char folder[64];

static void clean_up(void)
{
	struct err err = ERR_INIT;

	place_close(&place);
	if (tree_remove_at(AT_FDCWD, folder, &err))
		fprintf(stderr, "%s\n", err.text);
}

static void set_up(void)
{
	struct err err = ERR_INIT;

	snprintf(folder, sizeof(folder), "%s/lockstep-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ASSERT(mkdtemp(folder));
	ASSERT(place_open(folder, true, &place, &err) == 0);
	atexit(clean_up);
}

static void put(const char *path, struct slice bytes)
{
	struct err err = ERR_INIT;
	int fd = openat(place.private_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ASSERT(fd >= 0 && fd_write_all(fd, bytes.ptr, bytes.len, &err) == 0);
	close(fd);
}

static void read_own(void)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct own_manifest own, again;
	struct err err = ERR_INIT;

	if (own_load(&place, "000001-000000000000", &arena, NULL, &own, &err))
		return;
	for (size_t i = 0; i < own.count; i++) {
		struct slice path = own.entries[i].entry.path;
		ASSERT(path.len > 0 && path.ptr[path.len] == '\0');
		(void)!own_find(&own, path);
	}
	ASSERT(own_save(&place, "000002-000000000000", &own, &err) == 0);
	ASSERT(own_load(&place, "000002-000000000000", &arena, NULL, &again, &err) == 0);
	ASSERT(own.count == again.count && digest_equal(&own.release, &again.release));
	for (size_t i = 0; i < own.count; i++)
		ASSERT(slice_equal(own.entries[i].entry.path, again.entries[i].entry.path) &&
		       own.entries[i].ino == again.entries[i].ino);
}

static void read_state(void)
{
	AUTO(state_free) struct state state = {0};
	AUTO(state_free) struct state again = {0};
	struct err err = ERR_INIT;

	if (state_load(&place, &state, &err))
		return;
	bool pending = state_has_pending(&state);
	if (pending && state_set_phase(&state, "prepared", &err))
		return;
	if (state_save(&place, &state, &err))
		return;
	ASSERT(state_load(&place, &again, &err) == 0);
	ASSERT(state.epoch == again.epoch && state.next == again.next &&
	       pending == state_has_pending(&again));
	ASSERT(strcmp(state_pending(&state, "name"), state_pending(&again, "name")) == 0);
}

static void read_journal(void)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct account *accounts;
	struct err err = ERR_INIT;
	const char *decision;
	size_t count;
	bool cut;

	ASSERT(journal_mend(&place, &cut, &err) == 0);
	ASSERT(journal_accounts(&place, &arena, &accounts, &count, &err) == 0);
	ASSERT(journal_decision(&place, "d1", &decision, &err) == 0);
	for (size_t i = 0; i < count; i++)
		ASSERT(accounts[i].name && accounts[i].deployment && accounts[i].verdict);
	ASSERT(journal_mend(&place, &cut, &err) == 0 && !cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct manifest manifest;
	struct err err = ERR_INIT;

	if (!place.path)
		set_up();
	if (size == 0)
		return 0;
	struct slice bytes = slice_make(data + 1, size - 1);
	switch (data[0]) {
	case 'm':
		put("manifests/000001-000000000000", bytes);
		read_own();
		return 0;
	case 'r': {
		static const char hex[] = "00000000000000000000000000000000000000000000000000000000000000aa";
		put("manifests/release-00000000000000000000000000000000000000000000000000000000000000aa",
		    bytes);
		/* Whatever it holds, its name is another one. */
		ASSERT(release_manifest_load(&place, hex, &arena, &manifest, &err));
		return 0;
	}
	case 's':
		put("state", bytes);
		read_state();
		return 0;
	case 'j':
		put("journal", bytes);
		read_journal();
		return 0;
	default:
		return 0;
	}
}
