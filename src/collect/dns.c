/* Where names point, as this machine resolves them; how the servers do is a probe's. A name
 * that does not exist has no facts. */
#include "collect/internal.h"

static int name_tell(struct collect_sight *sight, struct arena *arena, const char *name,
		     const struct look_name *look, struct fact_list *out, struct err *err)
{
	AUTO(buf_free) struct buf place = BUF_INIT(COLLECT_URL_MAX);
	AUTO(buf_free) struct buf canonical = BUF_INIT(COLLECT_URL_MAX);

	put_authority(&place, sight->request, name, 0);
	if (!look || (look->result != LOOK_ANSWERED && look->result != LOOK_NO_NAME))
		return tell_skip(out, fact_key(arena, "dns/%s/", buf_str(&place)),
				 look ? look_result_words(look->result) : "offline", err);
	if (look->result == LOOK_NO_NAME)
		return 0;
	struct slice *addresses = ARENA_NEW_ARRAY(arena, look->address_count, struct slice);
	for (size_t i = 0; i < look->address_count; i++)
		addresses[i] = slice_of(look->addresses[i]);
	if (fact_add(out, fact_key(arena, "dns/%s/addresses", buf_str(&place)), FACT_SET,
		     fact_set_value(arena, addresses, look->address_count), err))
		return -1;
	if (!look->canonical)
		return 0;
	put_comparable(&canonical, sight->request, slice_of(look->canonical));
	return tell_text(out, fact_key(arena, "dns/%s/cname", buf_str(&place)), buf_slice(&canonical), err);
}

static int run(struct collect_sight *sight, struct fact_list *out, struct err *err)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const struct collect_request *request = sight->request;
	size_t count;

	if (sight_limit("dns", request->name_count, &count, out, err))
		return -1;
	struct look_name *looks = ARENA_NEW_ARRAY(&arena, count, struct look_name);
	if (!request->offline)
		look_names(&arena, request->names, count, sight->time_ms, looks);
	for (size_t i = 0; i < count; i++)
		if (name_tell(sight, &arena, request->names[i], request->offline ? NULL : &looks[i], out,
			      err))
			return -1;
	return 0;
}

static const struct collect_fact facts[] = {
	{"dns/NAME/addresses", "set", "the name stands for; no fact: it does not exist"},
	{"dns/NAME/cname", "text", "the name it is an alias of"},
	{NULL, NULL, NULL},
};

const struct collector collector_dns = {
	.dimension = "dns",
	.text = "where names point, as the machine that runs lockstep resolves them",
	.facts = facts,
	.run = run,
};
