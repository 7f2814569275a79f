/* A fact: one observed property, and how it is written. Everything that can drift is one.
 *
 *	key = dimension "/" subject [ "/" attribute ]        any bytes but NUL in the subject
 *
 *	os/release/version              runtime/php/ext/intl
 *	env/DATABASE_URL/value          file/app/Pay.php/content
 *	db/main/table/users/column/email/type
 *
 * Keys are ordered by their bytes. The subject may hold slashes; the dimension and, where
 * there is one, the attribute may not. Which keys there are: docs/facts.md, printed from
 * the rows of probes and collectors.
 *
 * What is not there and what was not looked at are two things. A fact of kind
 * FACT_NOT_CHECKED says the second: its value is the reason; a key that ends in '/' says it
 * of every key that begins with it, any other of itself alone. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "codec/digest.h"

enum { FACT_KEY_MAX = 8 << 10, FACT_VALUE_MAX = 64 << 10 };

enum fact_kind {
	FACT_TEXT = 1,
	FACT_NUMBER,	  /* "-12.5" or "16384 MB": a decimal number, then perhaps a space and its unit */
	FACT_VERSION,	  /* "8.3.6", "1:2.36-9+deb12u10" */
	FACT_SET,	  /* elements in byte order, each once, each followed by NUL */
	FACT_DIGEST,	  /* 32 bytes: SHA-256 of content that is no secret */
	FACT_HMAC,	  /* 32 bytes: HMAC-SHA-256 under a key of this run; comparable within it only */
	FACT_NOT_CHECKED, /* the reason, for people */
};

/* Equal facts have equal kind and bytes: values have one way to be written. */
struct fact {
	struct slice key;
	struct slice value;
	enum fact_kind kind;
	bool evidence; /* shown beside a finding (who, when); never compared */
	bool weak;     /* FACT_HMAC of a value so short that a kept fingerprint could be guessed */
};

const char *fact_kind_name(enum fact_kind kind);   /* "text", "number", …; NULL: no kind */
enum fact_kind fact_kind_parse(struct slice name); /* 0: none */

/* The part before the first '/'. */
struct slice fact_dimension(struct slice key);
/* The part behind the last '/', and what lies between; both empty where there is none. */
struct slice fact_attribute(struct slice key);
struct slice fact_subject(struct slice key);

/* Whether key and value are as they must be (ERR_USER says what is not). Everything that
 * comes from elsewhere goes through it before it is used. */
int fact_check(const struct fact *fact, struct err *err) CHECKED;

/* The value for people: digests by their first 12 digits, sets with commas, an HMAC as
 * "present", foreign bytes made visible. */
void fact_put_value(struct buf *out, const struct fact *fact);

/* A number's two parts; false when it is none. 1 GB and 1024 MB are one value: units of
 * bytes (B kB MB GB TB, powers of 1024) and of time (ms s min h d) come out as B and ms. */
bool fact_number(struct slice value, double *number_out, struct slice *unit_out);
/* Like strverscmp(3) with an epoch ("1:") first: <0, 0, >0. */
int fact_version_compare(struct slice a, struct slice b);
/* True when the first `parts` numbers (1: major, 2: minor) are equal. */
bool fact_version_same(struct slice a, struct slice b, int parts);

/* --- building one in a buffer or arena ---------------------------------------- */

/* arena_printf as a slice; a NUL byte cannot come in. */
struct slice fact_key(struct arena *arena, const char *format, ...) PRINTF(2, 3);
/* Sorts, drops repetitions, joins. */
struct slice fact_set_value(struct arena *arena, const struct slice *elements, size_t count);
/* The elements of a set, one after the other: *rest begins as the value. */
bool fact_set_next(struct slice *rest, struct slice *element_out);
