/* Secrets in chunks of guarded memory: libsodium puts a guard page at either end of a
 * chunk, locks it, and leaves it out of core dumps. Many values share a chunk, since a
 * value with pages of its own would cost four of them. */
#include "seal/secret.h"

#include "base/arena.h"
#include "base/buf.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* Most commands have a few values, some have thousands. */
enum { FIRST_CHUNK = 16 << 10, CHUNK = 256 << 10, ALIGNMENT = sizeof(size_t) };

struct secret_bytes {
	size_t len;
	char bytes[];
};

struct chunk {
	char *bytes;
	size_t used, size;
};

struct safe {
	struct chunk *chunks; /* the last one is being filled */
	size_t count, cap;
	size_t total;
};

static void NORETURN give_up(const char *why)
{
	fprintf(stderr, "lockstep: %s\n", why);
	abort();
}

struct safe *safe_open(void)
{
	/* Also when another thread has done it already. */
	if (sodium_init() < 0)
		give_up("the library for sealing (libsodium) cannot be initialised");
	return mem_alloc(sizeof(struct safe));
}

void safe_close(struct safe **safe)
{
	if (!*safe)
		return;
	for (size_t i = 0; i < (*safe)->count; i++)
		sodium_free((*safe)->chunks[i].bytes); /* wipes and unlocks */
	free((*safe)->chunks);
	free(*safe);
	*safe = NULL;
}

static struct chunk *add_chunk(struct safe *safe, size_t needed)
{
	size_t size = MAX(needed, safe->count ? (size_t)CHUNK : (size_t)FIRST_CHUNK);

	if (safe->count == safe->cap) {
		safe->cap = MAX(safe->cap * 2, (size_t)8);
		safe->chunks = mem_grow(safe->chunks, safe->cap, sizeof(*safe->chunks));
	}
	/* A limit on locked memory (RLIMIT_MEMLOCK) leaves the chunk unlocked, no more. */
	char *bytes = sodium_malloc(size);
	if (!bytes)
		give_up("out of memory for secrets");
	safe->chunks[safe->count] = (struct chunk){bytes, 0, size};
	return &safe->chunks[safe->count++];
}

char *safe_reserve(struct safe *safe, size_t len, struct secret *out, struct err *err)
{
	if (len > SECRET_MAX) {
		err_set(err, ERR_USER, "a value of %zu bytes is larger than %d bytes", len, SECRET_MAX);
		return NULL;
	}
	/* Rounded up so that the next one is aligned (sizes are: sodium_malloc aligns the end). */
	size_t needed = (sizeof(struct secret_bytes) + len + 1 + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (needed > SAFE_MAX - safe->total) {
		err_set(err, ERR_USER, "the values together are larger than %d MiB", SAFE_MAX >> 20);
		return NULL;
	}
	struct chunk *chunk = safe->count ? &safe->chunks[safe->count - 1] : NULL;
	if (!chunk || needed > chunk->size - chunk->used)
		chunk = add_chunk(safe, needed);
	struct secret_bytes *bytes = (struct secret_bytes *)(void *)(chunk->bytes + chunk->used);
	chunk->used += needed;
	safe->total += needed;
	bytes->len = len;
	memset(bytes->bytes, 0, len + 1);
	out->bytes = bytes;
	return bytes->bytes;
}

int safe_put(struct safe *safe, struct slice value, struct secret *out, struct err *err)
{
	char *room = safe_reserve(safe, value.len, out, err);

	if (!room)
		return -1;
	if (value.len)
		memcpy(room, value.ptr, value.len);
	return 0;
}

void safe_trim(struct secret *secret, size_t len)
{
	struct secret_bytes *bytes = (struct secret_bytes *)(uintptr_t)secret->bytes;

	ASSERT(bytes && len <= bytes->len);
	sodium_memzero(bytes->bytes + len, bytes->len - len);
	bytes->len = len;
}

struct slice secret_reveal(struct secret secret)
{
	return secret.bytes ? slice_make(secret.bytes->bytes, secret.bytes->len) : SLICE("");
}

bool secret_present(struct secret secret) { return secret.bytes != NULL; }

bool secret_equal(struct secret a, struct secret b)
{
	struct slice left = secret_reveal(a), right = secret_reveal(b);

	return secret_present(a) == secret_present(b) && left.len == right.len &&
	       sodium_memcmp(left.ptr, right.ptr, left.len) == 0;
}

void secret_harden_process(void)
{
	/* Only the soft limit: programs we start may raise their own again. */
	struct rlimit core;
	if (getrlimit(RLIMIT_CORE, &core) == 0) {
		core.rlim_cur = 0;
		setrlimit(RLIMIT_CORE, &core);
	}
#ifdef __linux__
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

void buf_wipe_free(struct buf *buf)
{
	if (buf->ptr)
		sodium_memzero(buf->ptr, buf->cap);
	buf_free(buf);
}
