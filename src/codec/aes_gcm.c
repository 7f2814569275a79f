/* AES-256-GCM (NIST SP 800-38D) through EVP, which is too large for the agent. */
#include "codec/aes_gcm.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

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
