/* Any bytes as a server: what is taken can become an argument of ssh, and its
 * label means the same place. */
#include "project/place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_argument(const char *text)
{
	ASSERT(!text || (*text && *text != '-'));
	for (; text && *text; text++)
		ASSERT((unsigned char)*text > ' ' && *text != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	struct place place, again;
	struct err err = ERR_INIT;
	if (place_parse(&arena, slice_make(data, size), (struct origin){0}, &place, &err))
		return 0;
	check_argument(place.user);
	check_argument(place.host);
	ASSERT((place.kind == PLACE_LOCAL) == !place.host);
	ASSERT(!place.path || (*place.path && (*place.path == '/') == !place.path_is_relative));
	const char *label = place_label(&arena, &place);
	if (place_parse(&arena, slice_of(label), (struct origin){0}, &again, &err))
		/* A label may be longer than what it was made from; nothing else. */
		ASSERT(strlen(label) > PLACE_TEXT_MAX);
	else
		ASSERT(strcmp(place_key(&arena, &place), place_key(&arena, &again)) == 0);
	return 0;
}
