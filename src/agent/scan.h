/* Hand edits: what an activation shows against what it should show. */
#pragma once

#include "agent/session.h"
#include "agent/signature.h"

struct scan_edit {
	struct slice path;
	const char *kind;      /* changed | added | removed | mode | type */
	char seen[DIGEST_HEX_LEN + 1], expected[DIGEST_HEX_LEN + 1]; /* "" when not a file */
	uint64_t owner;
	int64_t modified_ms;
	int dir_fd;            /* the folder it lies in while the callback runs; -1 when removed */
	const char *name;
	bool is_file;
	bool rendered; /* `seen` and `expected` stay empty: its content could be guessed from them */
};

struct scan {
	struct session *session;
	const struct own_manifest *own;
	int root_fd;
	bool deep;     /* hash every file */
	bool *intact;  /* per entry, set by the scan; may be NULL */
	int (*edit)(void *context, const struct scan_edit *edit, struct err *err);
	void *context;
	/* results */
	uint64_t files, edits, hashed;
	size_t next; /* entry that probably comes next; the scan's own */
};

/* Opens releases/NAME. */
int activation_open(const struct place *place, const char *name, int *fd_out, struct err *err) CHECKED;
int scan_run(struct scan *scan, struct err *err) CHECKED;
/* Brings the signatures of intact files up to date where nothing but ctime moved. */
int scan_refresh(const struct place *place, const char *name, int root_fd, struct own_manifest *own,
		 const bool *intact, struct err *err) CHECKED;
/* SHA-256 of a file in a folder; an error when it is no file. */
int scan_hash_file(struct session *session, int dir_fd, const char *name, struct digest *out, struct err *err) CHECKED;
/* One EDIT message. */
int scan_send_edit(struct session *session, const struct scan_edit *edit, const char *activation,
		   struct err *err) CHECKED;

/* What SCAN saw of the live activation, kept for the PREPARE that mostly follows at once:
 * looking a second time would find the same, and take as long as linking a third of it. A file
 * edited in between is found out by its signature when it is linked. */
enum { LOOKED_FRESH_MS = 5000, LOOKED_ENTRIES_MAX = 20000 };
struct looked {
	struct arena arena; /* of all below */
	char name[PLACE_NAME_MAX];
	struct own_manifest own;
	bool *intact; /* per entry */
	uint64_t hashed;
	int64_t at_ms; /* monotonic, when it was begun */
};
/* Hands it over when it is of `name` and fresh; either way the session has none any more. */
bool looked_take(struct session *session, const char *name, struct looked **out);
void looked_free(struct looked **looked); /* cleanup function */
