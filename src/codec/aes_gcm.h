/* AES-256-GCM, reading only: for formats of others (SOPS). What we seal ourselves is
 * the seal module's. Not part of the agent. */
#pragma once

#include "base/err.h"
#include "base/slice.h"

enum { AES_GCM_KEY_LEN = 32, AES_GCM_TAG_LEN = 16, AES_GCM_IV_MAX = 64 };

/* Writes cipher.len bytes to `out`, which is wiped again when the tag does not fit:
 * ERR_DENIED, another key or changed bytes. iv: 1..AES_GCM_IV_MAX bytes. */
int aes_gcm_open(const uint8_t key[AES_GCM_KEY_LEN], struct slice iv, struct slice associated,
		 struct slice cipher, const uint8_t tag[AES_GCM_TAG_LEN], char *out, struct err *err) CHECKED;
