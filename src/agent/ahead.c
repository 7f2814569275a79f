/* A second process that links unchanged files from the middle of what is left, while the
 * first goes through it from the beginning: most of a small change of many files is spent
 * in linkat. What it did lies in shared memory; what it left is obtained in the ordinary
 * way. Not for anything but links, which need no judgement of content. */
#include "agent/preparation.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

enum { WORTH_IT = 1000 };

static int link_the_same(void *context, struct err *err)
{
	struct ahead *ahead = context;
	struct preparation *p = ahead->p;

#ifdef __linux__
	/* It must not go on linking into a tree that nobody waits for. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
	for (size_t i = ahead->from; i < ahead->to; i++) {
		struct ahead_entry *entry = &ahead->entries[i - ahead->from];
		bool got;
		if (obtain_link_same(p, i, &got, err))
			return -1;
		if (got && p->taken)
			entry->taken = p->taken[i];
		entry->linked = got;
	}
	return 0;
}

void ahead_begin(struct ahead *ahead, size_t next)
{
	size_t count = ahead->p->manifest.count;
	struct err alone = ERR_INIT;

	if (ahead->tried || !obtain_links(ahead->p))
		return;
	ahead->tried = true;
	if (count - next < WORTH_IT || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	size_t from = next + (count - next) / 2;
	ahead->len = (count - from) * sizeof(*ahead->entries);
	void *shared = mmap(NULL, ahead->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return;
	ahead->entries = shared;
	ahead->from = from;
	ahead->to = count;
	ahead->runs = session_apart_begin(link_the_same, ahead, &ahead->apart, &alone) == 0;
	if (!ahead->runs)
		ahead->to = from;
}

int ahead_await(struct ahead *ahead, size_t index, struct err *err)
{
	if (!ahead->runs || index < ahead->from)
		return 0;
	ahead->runs = false;
	return session_apart_end(ahead->p->session, "link", &ahead->apart, err);
}

bool ahead_took(struct ahead *ahead, size_t index)
{
	if (index < ahead->from || index >= ahead->to || !ahead->entries[index - ahead->from].linked)
		return false;
	if (ahead->p->taken)
		ahead->p->taken[index] = ahead->entries[index - ahead->from].taken;
	ahead->p->linked++;
	return true;
}

void ahead_free(struct ahead *ahead)
{
	struct err ignored = ERR_INIT;

	(void)!ahead_await(ahead, ahead->to, &ignored);
	if (ahead->entries)
		munmap(ahead->entries, ahead->len);
	*ahead = (struct ahead){ 0 };
}
