/* Values in and out of their sealed form, and keys in and out of their text. Files are
 * key_file.c. */
#include "seal/sealing.h"

#include "base/arena.h"
#include "base/random.h"

#include <sodium.h>

#define KEY_PREFIX "lockstep-key-1."

enum {
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	CHECK_LEN = 4,
	BASE64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING,
};
_Static_assert(SEAL_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "keys fit");
_Static_assert(NONCE == 24 && TAG == 16, "as drawn in the header");

/* ---- keys ---- */

/* BLAKE2b under the key, of what it is for. */
static void derive(const struct seal_key *key, const char *purpose, unsigned char *out, size_t len)
{
	struct slice bytes = secret_reveal(key->bytes);

	ASSERT(bytes.len == SEAL_KEY_LEN);
	crypto_generichash(out, len, (const unsigned char *)purpose, strlen(purpose), (const unsigned char *)bytes.ptr,
			   bytes.len);
}

static char *reserve(struct safe *safe, size_t len, struct secret *out)
{
	struct err err = ERR_INIT;
	char *room = safe_reserve(safe, len, out, &err);

	ASSERT(room); /* a few bytes: the safe would have to be full */
	return room;
}

static void name_key(struct seal_key *key)
{
	unsigned char id[SEAL_ID_LEN / 2 < crypto_generichash_BYTES_MIN ? crypto_generichash_BYTES_MIN : SEAL_ID_LEN / 2];

	derive(key, "lockstep key id 1", id, sizeof(id));
	hex_encode(id, SEAL_ID_LEN / 2, key->id);
}

void seal_key_generate(struct safe *safe, struct seal_key *out)
{
	random_bytes(reserve(safe, SEAL_KEY_LEN, &out->bytes), SEAL_KEY_LEN);
	name_key(out);
}

static void check_sum(const char *key, unsigned char out[CHECK_LEN])
{
	unsigned char hash[crypto_generichash_BYTES];

	crypto_generichash(hash, sizeof(hash), (const unsigned char *)key, SEAL_KEY_LEN, NULL, 0);
	memcpy(out, hash, CHECK_LEN);
	sodium_memzero(hash, sizeof(hash));
}

int seal_key_parse(struct safe *safe, struct slice text, struct seal_key *out, struct err *err)
{
	struct slice found = {NULL, 0};
	unsigned char sum[CHECK_LEN];
	struct secret decoded;
	size_t len = 0;

	while (text.ptr) {
		struct slice line = slice_trim(slice_cut(&text, '\n'));
		if (line.len == 0 || line.ptr[0] == '#')
			continue;
		if (found.ptr)
			return err_set(err, ERR_USER, "more than one line that could be a key");
		found = line;
	}
	if (!found.ptr || !slice_starts_with(found, KEY_PREFIX))
		return err_set(err, ERR_USER, "not a key: one begins with %s", KEY_PREFIX);
	found = slice_skip(found, strlen(KEY_PREFIX));
	char *room = reserve(safe, SEAL_KEY_LEN + CHECK_LEN, &decoded);
	if (sodium_base642bin((unsigned char *)room, SEAL_KEY_LEN + CHECK_LEN, found.ptr, found.len, NULL, &len, NULL,
			      BASE64) ||
	    len != SEAL_KEY_LEN + CHECK_LEN)
		return err_set(err, ERR_USER, "not a key: something is missing or too much behind %s", KEY_PREFIX);
	check_sum(room, sum);
	if (memcmp(sum, room + SEAL_KEY_LEN, CHECK_LEN) != 0)
		return err_set(err, ERR_USER, "not a key: a letter of it is wrong");
	safe_trim(&decoded, SEAL_KEY_LEN);
	out->bytes = decoded;
	name_key(out);
	return 0;
}

static void put_base64(struct buf *out, const void *bytes, size_t len)
{
	size_t size = sodium_base64_encoded_len(len, BASE64); /* with its NUL */
	char *room = buf_reserve(out, size);

	if (!room)
		return;
	sodium_bin2base64(room, size, bytes, len, BASE64);
	out->len += size - 1;
}

void seal_key_put(struct buf *out, const struct seal_key *key)
{
	unsigned char bytes[SEAL_KEY_LEN + CHECK_LEN];
	struct slice value = secret_reveal(key->bytes);

	memcpy(bytes, value.ptr, SEAL_KEY_LEN);
	check_sum(value.ptr, bytes + SEAL_KEY_LEN);
	buf_puts(out, KEY_PREFIX);
	put_base64(out, bytes, sizeof(bytes));
	sodium_memzero(bytes, sizeof(bytes));
}

void seal_key_derive(struct safe *safe, const struct seal_key *key, const char *purpose, struct secret *out)
{
	AUTO(buf_free) struct buf text = BUF_INIT(1024);

	buf_printf(&text, "lockstep for 1: %s", purpose);
	ASSERT(!text.overflow);
	derive(key, buf_str(&text), (unsigned char *)reserve(safe, SEAL_KEY_LEN, out), SEAL_KEY_LEN);
}

/* ---- values ---- */

static void put_text(struct buf *out, const char *text)
{
	buf_put_u32(out, (uint32_t)strlen(text));
	buf_puts(out, text);
}

static void put_associated(struct buf *out, const struct seal_context *context)
{
	static const char what[] = "lockstep sealed value 1";

	buf_put(out, what, sizeof(what)); /* with its NUL */
	put_text(out, context->project);
	put_text(out, context->environment);
	put_text(out, context->name);
	buf_put_u64(out, context->version);
	ASSERT(!out->overflow);
}

void seal_value(const struct seal_key *key, const struct seal_context *context, struct slice value, struct buf *out)
{
	AUTO(buf_free) struct buf associated = BUF_INIT(4096);
	AUTO(buf_wipe_free) struct buf padded = BUF_SECRET(SECRET_MAX + SEAL_PAD), sealed = BUF_SECRET(SEALED_MAX);
	unsigned char seal_with[SEAL_KEY_LEN];
	unsigned long long sealed_len;
	size_t padded_len;

	ASSERT(value.len <= SECRET_MAX);
	put_associated(&associated, context);
	derive(key, "lockstep seal 1", seal_with, sizeof(seal_with));
	buf_put_slice(&padded, value);
	size_t room = (value.len / SEAL_PAD + 1) * SEAL_PAD;
	ASSERT(buf_reserve(&padded, room - value.len));
	ASSERT(sodium_pad(&padded_len, (unsigned char *)padded.ptr, value.len, SEAL_PAD, room) == 0);
	unsigned char *to = (unsigned char *)buf_reserve(&sealed, NONCE + padded_len + TAG);
	random_bytes(to, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(to + NONCE, &sealed_len, (const unsigned char *)padded.ptr, padded_len,
						   (const unsigned char *)associated.ptr, associated.len, NULL, to,
						   seal_with);
	put_base64(out, to, NONCE + (size_t)sealed_len);
	sodium_memzero(seal_with, sizeof(seal_with));
}

int seal_open(const struct seal_key *key, const struct seal_context *context, struct slice sealed,
	      struct safe *safe, struct secret *out, struct err *err)
{
	AUTO(buf_free) struct buf associated = BUF_INIT(4096), bytes = BUF_INIT(SEALED_MAX);
	AUTO(buf_wipe_free) struct buf opened = BUF_SECRET(SECRET_MAX + SEAL_PAD);
	unsigned char seal_with[SEAL_KEY_LEN];
	unsigned long long opened_len = 0;
	size_t len = 0, value_len = 0;

	if (sealed.len > SEALED_MAX)
		return err_set(err, ERR_USER, "a sealed value of more than %d characters", SEALED_MAX);
	unsigned char *room = (unsigned char *)buf_reserve(&bytes, sealed.len);
	if (sodium_base642bin(room, sealed.len, sealed.ptr, sealed.len, NULL, &len, NULL, BASE64) ||
	    len < NONCE + SEAL_PAD + TAG || len > NONCE + opened.max + TAG)
		return err_set(err, ERR_USER, "not a sealed value");
	unsigned char *value = (unsigned char *)buf_reserve(&opened, len - NONCE - TAG);
	put_associated(&associated, context);
	derive(key, "lockstep seal 1", seal_with, sizeof(seal_with));
	int failed = crypto_aead_xchacha20poly1305_ietf_decrypt(
		value, &opened_len, NULL, room + NONCE, len - NONCE, (const unsigned char *)associated.ptr,
		associated.len, room, seal_with);
	sodium_memzero(seal_with, sizeof(seal_with));
	if (failed || sodium_unpad(&value_len, value, (size_t)opened_len, SEAL_PAD))
		return err_set(err, ERR_DENIED, "it does not open");
	return safe_put(safe, slice_make(value, value_len), out, err);
}

void seal_fingerprint(const struct seal_key *key, const struct seal_context *context, struct slice value,
		      char out[SEAL_FINGERPRINT_LEN + 1])
{
	unsigned char under[SEAL_KEY_LEN], hash[SEAL_FINGERPRINT_LEN / 2];
	AUTO(buf_free) struct buf place = BUF_INIT(4096);
	const struct seal_context unversioned = {context->project, context->environment, context->name, 0};
	crypto_generichash_state state;

	put_associated(&place, &unversioned);
	derive(key, "lockstep fingerprint 1", under, sizeof(under));
	crypto_generichash_init(&state, under, sizeof(under), sizeof(hash));
	crypto_generichash_update(&state, (const unsigned char *)place.ptr, place.len);
	crypto_generichash_update(&state, (const unsigned char *)value.ptr, value.len);
	crypto_generichash_final(&state, hash, sizeof(hash));
	hex_encode(hash, sizeof(hash), out);
	sodium_memzero(under, sizeof(under));
	sodium_memzero(&state, sizeof(state));
}
