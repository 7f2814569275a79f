/* AES-256-GCM (NIST SP 800-38D) through EVP, which is too large for the agent. It is in the
 * shared libcrypto, which is loaded when the first file is opened: to load it takes longer
 * than to start all of the rest. */
#include "codec/aes_gcm.h"

#include "base/library.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define EVP_ROWS(CALL, CALL_VOID)                                                                            \
	CALL(const EVP_CIPHER *, EVP_aes_256_gcm, (void), ())                                                \
	CALL(int, EVP_CIPHER_CTX_ctrl, (EVP_CIPHER_CTX * context, int what, int number, void *value),        \
	     (context, what, number, value))                                                                 \
	CALL_VOID(void, EVP_CIPHER_CTX_free, (EVP_CIPHER_CTX * context), (context))                          \
	CALL(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, (void), ())                                               \
	CALL(int, EVP_DecryptFinal_ex, (EVP_CIPHER_CTX * context, unsigned char *out, int *len),             \
	     (context, out, len))                                                                            \
	CALL(int, EVP_DecryptInit_ex,                                                                        \
	     (EVP_CIPHER_CTX * context, const EVP_CIPHER *cipher, ENGINE *engine, const unsigned char *key,  \
	      const unsigned char *iv),                                                                      \
	     (context, cipher, engine, key, iv))                                                             \
	CALL(int, EVP_DecryptUpdate,                                                                         \
	     (EVP_CIPHER_CTX * context, unsigned char *out, int *len, const unsigned char *in, int in_len),  \
	     (context, out, len, in, in_len))

LIBRARY(EVP_ROWS, "libcrypto.so.3", "libssl3")

static void context_free(EVP_CIPHER_CTX **context)
{
	EVP_CIPHER_CTX_free(*context);
}

/* False: libcrypto refuses, which for these sizes means that it is out of order. */
static bool begin(EVP_CIPHER_CTX *context, const uint8_t *key, struct slice iv, struct slice associated)
{
	int len;

	return EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, NULL, NULL) == 1 &&
	       EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_IVLEN, (int)iv.len, NULL) == 1 &&
	       EVP_DecryptInit_ex(context, NULL, NULL, key, (const unsigned char *)iv.ptr) == 1 &&
	       (associated.len == 0 ||
		EVP_DecryptUpdate(context, NULL, &len, (const unsigned char *)associated.ptr,
				  (int)associated.len) == 1);
}

int aes_gcm_open(const uint8_t key[AES_GCM_KEY_LEN], struct slice iv, struct slice associated,
		 struct slice cipher, const uint8_t tag[AES_GCM_TAG_LEN], char *out, struct err *err)
{
	uint8_t tag_copy[AES_GCM_TAG_LEN], rest[16];
	unsigned char *bytes = (unsigned char *)out;
	int len = 0;

	ASSERT(iv.len >= 1 && iv.len <= AES_GCM_IV_MAX && cipher.len < INT32_MAX &&
	       associated.len < INT32_MAX);
	if (library_load(&library, err) < 0)
		return -1;
	AUTO(context_free) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	if (!context || !begin(context, key, iv, associated))
		return err_set(err, ERR_INTERNAL, "libcrypto does not start AES-256-GCM");
	memcpy(tag_copy, tag, sizeof(tag_copy));
	if ((cipher.len == 0 || EVP_DecryptUpdate(context, bytes, &len, (const unsigned char *)cipher.ptr,
						  (int)cipher.len) == 1) &&
	    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, AES_GCM_TAG_LEN, tag_copy) == 1 &&
	    EVP_DecryptFinal_ex(context, rest, &len) == 1)
		return 0;
	OPENSSL_cleanse(out, cipher.len);
	return err_set(err, ERR_DENIED,
		       "its authentication tag does not fit: another key, or it was changed");
}
