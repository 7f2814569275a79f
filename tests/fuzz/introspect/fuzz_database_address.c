/* Any text as a database's address: never a crash, and no error quotes it. */
#include "introspect/introspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct database_address address;
	struct err err = ERR_INIT;

	if (database_address_parse(&arena, slice_make(data, size), &address, &err)) {
		ASSERT(err.code == ERR_USER && err.text[0]);
		return 0;
	}
	ASSERT(address.kind && (address.path != NULL) == (address.kind->port == 0));
	for (const char *c = address.host; c && *c; c++)
		ASSERT((unsigned char)*c >= ' ');
	return 0;
}
