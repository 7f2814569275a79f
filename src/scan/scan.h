/* Finds secrets in bytes and in releases. Noise is a defect: placeholders, examples,
 * hashes, lock files, minified code and test data must not alarm. */
#pragma once

#include "store/store.h"

enum { SCAN_FINDINGS_MAX = 1000, SCAN_FILE_MAX = 16 << 20 };

enum scan_environment { SCAN_ANY = 1, SCAN_LIVE, SCAN_TEST };

/* One known format: a prefix and what follows it. */
struct scan_rule {
	const char *name;    /* "stripe-live" */
	const char *service; /* "Stripe" */
	const char *prefix;  /* at least three characters */
	const char *more;    /* characters of the rest beside letters and digits */
	size_t least, most;  /* length of the rest */
	enum scan_environment environment;
	bool (*check)(struct slice rest); /* a check sum in it; NULL where there is none */
};

extern const struct scan_rule scan_rules[];
extern const size_t scan_rule_count;

struct scan_finding {
	const char *path;
	uint32_t line;
	const char *rule, *service;
	const char *shown; /* its beginning and "…", or the name it stands under; never the value */
	enum scan_environment environment;
};

struct scan_findings {
	struct arena *arena;
	struct scan_finding items[SCAN_FINDINGS_MAX];
	size_t count, dropped;
	uint64_t files, bytes;
};

/* An exception somebody answers for. */
struct scan_allowed {
	const char *path, *rule; /* a glob; a rule's name, NULL: any */
	const char *owner, *reason;
	int64_t until_ms;
};

/* Adds what stands in a file's content. `path` decides too: lock files are left out, in
 * test data only live and checked formats count. */
void scan_bytes(struct scan_findings *findings, struct slice path, struct slice bytes);
/* Every file of a release but those larger than SCAN_FILE_MAX, each object once. */
int scan_release(struct store *store, const struct manifest *manifest, struct scan_findings *findings,
		 struct err *err) CHECKED;
/* Every file below a folder but those larger than SCAN_FILE_MAX and what `.git` and
 * `node_modules` hold; links are not followed. */
int scan_folder(int dir_fd, struct scan_findings *findings, struct err *err) CHECKED;
/* Takes out what is allowed now. A lapsed exception holds no longer: lapsed[i] says that
 * it would have (may be NULL). */
void scan_apply_allowed(struct scan_findings *findings, const struct scan_allowed *allowed, size_t count,
			int64_t now_ms, bool *lapsed);
