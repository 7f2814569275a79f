/* What the harnesses of services share: the input is an address, a line break, and what
 * the service answers to a reading of it; once for names alone, once for values. */
#pragma once

#include "secret/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int (*decode_fn)(const struct provider_call *call, struct slice body, struct provider_entries *out,
			 struct err *err);

static inline void check_entries(const struct provider_call *call, const struct provider_entries *out)
{
	ASSERT(out->count <= PROVIDER_ENTRIES_MAX);
	for (size_t i = 0; i < out->count; i++) {
		ASSERT(out->items[i].name && out->items[i].place);
		ASSERT(secret_present(out->items[i].value) == !call->names_only);
	}
}

static inline void try_answer(decode_fn decode, struct slice url, struct slice body, bool names_only,
			      const struct provider_mapping *mapping)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	struct provider_call call = {
		.arena = &arena,
		.safe = safe,
		.url = arena_str(&arena, url),
		.folder = "/nowhere",
		.names_only = names_only,
		.mappings = mapping,
		.mapping_count = mapping != NULL,
	};
	struct provider_entries out = {0};
	struct err err = ERR_INIT;

	if (decode(&call, body, &out, &err))
		ASSERT(err.code != ERR_NONE && err.text[0]);
	else
		check_entries(&call, &out);
}

static inline int try_input(decode_fn decode, const char *scheme, const uint8_t *data, size_t size)
{
	static const struct provider_mapping mapping = {"KEY", "db/KEY"};
	struct slice body = slice_make(data, size), url = slice_cut(&body, '\n');
	const struct provider *provider;
	struct err err = ERR_INIT;

	if (size > 64 << 10 || !body.ptr || provider_find(url, &provider, &err) ||
	    strcmp(provider->scheme, scheme) != 0 || provider->check(url))
		return 0;
	try_answer(decode, url, body, false, NULL);
	try_answer(decode, url, body, true, NULL);
	try_answer(decode, url, body, true, &mapping);
	return 0;
}
