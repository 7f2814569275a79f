/* Sealing: XChaCha20-Poly1305 under a key of 32 random bytes. What a value is for
 * (project, environment, name, version) goes in as associated data, so that a sealed
 * value opens in its own place only. Lengths are hidden up to SEAL_PAD bytes.
 *
 *	sealed = base64url(nonce[24] ‖ AEAD(pad(value)))
 *	AD     = "lockstep sealed value 1" NUL, then project, environment, name each with
 *	         its length before it (u32, little endian), then the version (u64)
 *
 * A key itself is never used twice for different things: what seals, what fingerprints
 * and what names it (its id) are derived from it by keyed BLAKE2b. Where keys are kept
 * is in key_file.h. */
#pragma once

#include "base/buf.h"
#include "seal/secret.h"

enum {
	SEAL_KEY_LEN = 32,
	SEAL_ID_LEN = 16,	   /* hex digits */
	SEAL_FINGERPRINT_LEN = 64, /* hex digits */
	SEAL_PAD = 32,
	SEALED_MAX = (24 + SECRET_MAX + SEAL_PAD + 16 + 2) / 3 * 4, /* characters */
};

struct seal_key {
	struct secret bytes;
	char id[SEAL_ID_LEN + 1]; /* names the key, tells nothing about it */
};

struct seal_context {
	const char *project, *environment, *name;
	uint64_t version;
};

void seal_key_generate(struct safe *safe, struct seal_key *out);
/* "lockstep-key-1." and base64url with a check sum, blanks around it allowed; lines
 * that begin with # are skipped. Errors never hold any of it. */
int seal_key_parse(struct safe *safe, struct slice text, struct seal_key *out, struct err *err) CHECKED;
void seal_key_put(struct buf *out, const struct seal_key *key); /* that form; `out` is a BUF_SECRET */
/* 32 bytes for another purpose ("fingerprints of shop/production"), always the same. */
void seal_key_derive(struct safe *safe, const struct seal_key *key, const char *purpose, struct secret *out);

/* Appends the text of the sealed value. */
void seal_value(const struct seal_key *key, const struct seal_context *context, struct slice value,
		struct buf *out);
/* ERR_DENIED when it does not open: another key, another place, or changed since. */
int seal_open(const struct seal_key *key, const struct seal_context *context, struct slice sealed,
	      struct safe *safe, struct secret *out, struct err *err) CHECKED;

/* Equal for equal values of the same name under the same key; tells nothing to whoever
 * has no key. The version is left out. */
void seal_fingerprint(const struct seal_key *key, const struct seal_context *context, struct slice value,
		      char out[SEAL_FINGERPRINT_LEN + 1]);
