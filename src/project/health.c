/* Health checks whose address is only known once values were read. */
#include "project/keys.h"
#include "values/interpolate.h"

struct used {
	struct arena *arena;
	const struct config_set *set;
	struct value_list plain; /* those of the set that the text names */
};

static int use(void *context, struct slice name, struct err *err)
{
	struct used *used = context;
	const struct config_value *value = config_set_get(used->set, name);

	if (!value || value_list_get(&used->plain, name))
		return 0; /* interpolate tells what is missing */
	if (value->secret)
		return err_set(err, ERR_USER, "`${%s}` is a secret, and what is asked stands in logs",
			       value->name);
	struct slice text = secret_reveal(value->value);
	if (memchr(text.ptr, 0, text.len))
		return err_set(err, ERR_USER, "the value of `%s` holds a NUL byte", value->name);
	struct value *all = ARENA_NEW_ARRAY(used->arena, used->plain.count + 1, struct value);
	if (used->plain.count)
		memcpy(all, used->plain.items, used->plain.count * sizeof(*all));
	all[used->plain.count] = (struct value){value->name, arena_str(used->arena, text)};
	return value_list_build(used->arena, all, used->plain.count + 1, &used->plain, err);
}

static int fill(struct arena *arena, const char *key, const struct config_set *set,
		const char *(*fault_of)(struct slice), const char **text, struct err *err)
{
	struct used used = {.arena = arena, .set = set};

	if (!*text)
		return 0;
	if (interpolate_each(*text, use, &used, err) || interpolate(arena, *text, &used.plain, text, err))
		return err_wrap(err, "health.%s", key);
	const char *fault = fault_of(slice_of(*text));
	return fault ? err_set(err, ERR_USER, "health.%s: `%.500s` %s", key, *text, fault) : 0;
}

int health_fill(struct arena *arena, const struct health *health, const struct config_set *set,
		struct health *out, struct err *err)
{
	*out = *health;
	if (!health->late)
		return 0;
	out->late = false;
	return fill(arena, "url", set, url_fault, &out->url, err) ||
			       fill(arena, "address", set, address_fault, &out->address, err)
		       ? -1
		       : 0;
}
