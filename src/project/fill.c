/* Texts with the values of one server put in, where they were only known once providers
 * were asked: health checks and what parity looks at. */
#include "project/keys.h"
#include "values/interpolate.h"

struct used {
	struct arena *arena;
	const struct config_set *set;
	bool secrets;		 /* may be used */
	struct value_list plain; /* those of the set that the text names */
};

static int use(void *context, struct slice name, struct err *err)
{
	struct used *used = context;
	const struct config_value *value = config_set_get(used->set, name);

	if (!value || value_list_get(&used->plain, name))
		return 0; /* interpolate tells what is missing */
	if (value->secret && !used->secrets)
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

int text_fill(struct arena *arena, const char *text, const struct config_set *set, bool secrets,
	      const char **out, struct err *err)
{
	struct used used = {.arena = arena, .set = set, .secrets = secrets};

	return interpolate_each(text, use, &used, err) || interpolate(arena, text, &used.plain, out, err) ? -1
													  : 0;
}

static int fill_health(struct arena *arena, const char *key, const struct config_set *set,
		       const char *(*fault_of)(struct slice), const char **text, struct err *err)
{
	if (!*text)
		return 0;
	if (text_fill(arena, *text, set, false, text, err))
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
	return fill_health(arena, "url", set, url_fault, &out->url, err) ||
			       fill_health(arena, "address", set, address_fault, &out->address, err)
		       ? -1
		       : 0;
}

int parity_text_fill(struct arena *arena, enum parity_text_kind kind, const struct parity_text *text,
		     const struct config_set *set, const char **out, struct err *err)
{
	static const struct {
		const char *key;
		const char *(*fault_of)(struct slice);
	} kinds[] = {
		[PARITY_URL] = {"urls", url_fault},
		[PARITY_NAME] = {"names", dns_name_fault},
		[PARITY_PORT] = {"ports", address_fault},
		[PARITY_DATABASE] = {"databases", NULL},
	};

	*out = text->text;
	if (!text->late)
		return 0;
	if (text_fill(arena, text->text, set, kind == PARITY_DATABASE, out, err))
		return err_wrap(err, "parity.%s%s%s", kinds[kind].key, text->name ? "." : "",
				text->name ? text->name : "");
	const char *fault = kinds[kind].fault_of ? kinds[kind].fault_of(slice_of(*out)) : NULL;
	return fault ? err_set(err, ERR_USER, "parity.%s: `%.500s` %s", kinds[kind].key, text->text, fault)
		     : 0;
}
