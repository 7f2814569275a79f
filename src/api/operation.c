#include "api/operation.h"

#include "api/list.h"

const struct operation *const operations[] = {
	&operation_deploy,	  &operation_promote,	  &operation_plan,	   &operation_rollback,
	&operation_status,	  &operation_log,	  &operation_releases,	   &operation_server_check,
	&operation_build,	  &operation_init,	  &operation_config_validate, &operation_config_schema,
	&operation_config_reference, &operation_config_show, &operation_config_impact, &operation_secret_set,	  &operation_secret_get,  &operation_secret_list,
	&operation_secret_edit,	  &operation_secret_remove, &operation_secret_rotate, &operation_secret_key,
	&operation_store_verify, &operation_store_gc, &operation_secret_scan, &operation_version,
	&operation_config_explain, &operation_config_diff,	  &operation_config_history,
	&operation_config_import, &operation_secret_revoke,
	&operation_diff, &operation_parity, &operation_drift, &operation_checklist, &operation_facts,
	&operation_allow_add, &operation_allow_list, &operation_allow_remove, &operation_accept, &operation_revert,
	&operation_assess,
};
const size_t operation_count = ARRAY_LEN(operations);

const struct operation *operation_find(struct slice name)
{
	for (size_t i = 0; i < operation_count; i++)
		if (slice_is(name, operations[i]->name))
			return operations[i];
	return NULL;
}

const struct operation *operation_nearest(struct slice name)
{
	const struct operation *nearest = NULL;
	size_t best = 4;

	for (size_t i = 0; i < operation_count; i++) {
		size_t distance = slice_edit_distance(slice_of(operations[i]->name), name);
		if (distance < best) {
			best = distance;
			nearest = operations[i];
		}
	}
	return nearest;
}

static bool right_type(const struct operation_key *key, const json_t *value)
{
	switch (key->kind) {
	case OPERATION_STRING:
	case OPERATION_VALUE:
		return json_is_string(value);
	case OPERATION_FLAG:
		return json_is_boolean(value);
	case OPERATION_INT:
	case OPERATION_DURATION:
		return json_is_integer(value);
	case OPERATION_LIST:
		return json_is_array(value);
	}
	return false;
}

int operation_check_input(const struct operation *operation, const json_t *in, struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(4096);
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)in, name, value) {
		const struct operation_key *key = NULL;
		for (size_t i = 0; i < operation->key_count && !key; i++)
			if (strcmp(operation->keys[i].name, name) == 0)
				key = &operation->keys[i];
		if (!key)
			buf_printf(&text, "%s%s is no input of %s", text.len ? "; " : "", name, operation->name);
		else if (!right_type(key, value))
			buf_printf(&text, "%s%s has the wrong type", text.len ? "; " : "", name);
	}
	for (size_t i = 0; i < operation->key_count; i++) {
		const struct operation_key *key = &operation->keys[i];
		if (key->positional && !key->optional && !json_object_get(in, key->name))
			buf_printf(&text, "%s%s is missing", text.len ? "; " : "", key->name);
	}
	return text.len ? err_set(err, ERR_USER, "%s: %s", operation->name, buf_str(&text)) : 0;
}

const char *input_str(const json_t *in, const char *name) { return json_string_value(json_object_get(in, name)); }
bool input_flag(const json_t *in, const char *name) { return json_is_true(json_object_get(in, name)); }

int64_t input_int(const json_t *in, const char *name, int64_t fallback)
{
	const json_t *value = json_object_get(in, name);
	return value ? json_integer_value(value) : fallback;
}
