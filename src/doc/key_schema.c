/* The JSON Schema (draft 2020-12) that editors use, printed from rows. It accepts
 * everything the decoder accepts; what rows leave to functions (checks across
 * keys) it cannot know. */
#include "doc/json.h"
#include "doc/key.h"

static json_t *value_schema(const struct key *key, json_t *defs);

static void set_text(json_t *object, const char *name, const char *text)
{
	if (text)
		json_object_set_new(object, name, json_text(slice_of(text)));
}

static json_t *typed(const char *type)
{
	json_t *schema = json_object();
	set_text(schema, "type", type);
	return schema;
}

static json_t *either(json_t *first, json_t *second)
{
	json_t *schema = json_object(), *list = json_array();
	json_array_append_new(list, first);
	json_array_append_new(list, second);
	json_object_set_new(schema, "anyOf", list);
	return schema;
}

static void set_bounds(json_t *schema, const char *min_name, int64_t min, const char *max_name, int64_t max)
{
	if (min)
		json_object_set_new(schema, min_name, json_integer(min));
	if (max)
		json_object_set_new(schema, max_name, json_integer(max));
}

static json_t *int_schema(const struct key *key)
{
	json_t *schema = typed("integer");
	if (key->min || key->max) {
		json_object_set_new(schema, "minimum", json_integer(key->min));
		json_object_set_new(schema, "maximum", json_integer(key->max));
	}
	return schema;
}

static json_t *str_schema(const struct key *key)
{
	json_t *schema = typed("string");
	json_object_set_new(schema, "minLength", json_integer(1));
	set_text(schema, "pattern", key->pattern);
	return schema;
}

static json_t *text_schema(void)
{
	json_t *schema = json_object();
	json_object_set_new(schema, "type", json_pack("[sss]", "string", "number", "boolean"));
	return schema;
}

static json_t *pattern_schema(const char *pattern)
{
	json_t *number = typed("integer"), *text = typed("string");
	json_object_set_new(number, "minimum", json_integer(0));
	set_text(text, "pattern", pattern);
	return either(text, number);
}

static json_t *duration_schema(void)
{
	json_t *zero = json_object(), *text = typed("string");
	json_object_set_new(zero, "const", json_integer(0));
	set_text(text, "pattern", "^([0-9]+(ms|s|m|h|d)|0)$");
	return either(text, zero);
}

static json_t *enum_schema(const struct key *key)
{
	json_t *schema = json_object(), *words = json_array();
	for (const struct key_word *word = key->words; word->name; word++)
		json_array_append_new(words, json_text(slice_of(word->name)));
	json_object_set_new(schema, "enum", words);
	return schema;
}

static json_t *list_schema(const struct key *key, json_t *defs)
{
	json_t *schema = typed("array");
	json_object_set_new(schema, "items", value_schema(key->item, defs));
	set_bounds(schema, "minItems", key->min, "maxItems", key->max);
	return key->one_is_list ? either(value_schema(key->item, defs), schema) : schema;
}

static json_t *map_schema(const struct key *key, json_t *defs)
{
	json_t *schema = typed("object");
	json_object_set_new(schema, "additionalProperties", value_schema(key->item, defs));
	if (key->pattern)
		json_object_set_new(schema, "propertyNames", json_pack("{ss}", "pattern", key->pattern));
	set_bounds(schema, "minProperties", key->min, "maxProperties", key->max);
	return schema;
}

static void set_default(json_t *schema, const struct key *key)
{
	int64_t number;
	if (!key->fallback)
		return;
	if (key->kind == KEY_KIND_BOOL)
		json_object_set_new(schema, "default", json_boolean(strcmp(key->fallback, "true") == 0));
	else if (key->kind == KEY_KIND_INT && slice_to_i64(slice_of(key->fallback), &number))
		json_object_set_new(schema, "default", json_integer(number));
	else
		set_text(schema, "default", key->fallback);
}

static void add_properties(const struct key *keys, json_t *properties, json_t *required, json_t *defs)
{
	for (const struct key *key = keys; key->name; key++) {
		if (key->kind == KEY_KIND_INCLUDE)
			add_properties(key->keys, properties, required, defs);
		if (key->kind >= KEY_KIND_NODE || key->internal)
			continue;
		json_t *schema = value_schema(key, defs);
		set_text(schema, "description", key->text);
		set_default(schema, key);
		json_object_set_new(properties, key->name, schema);
		if (key->required)
			json_array_append_new(required, json_text(slice_of(key->name)));
	}
}

static json_t *keys_schema(const struct key *keys, json_t *defs)
{
	json_t *schema = typed("object"), *properties = json_object(), *required = json_array();
	add_properties(keys, properties, required, defs);
	json_object_set_new(schema, "properties", properties);
	if (json_array_size(required))
		json_object_set(schema, "required", required);
	json_decref(required);
	json_object_set_new(schema, "additionalProperties", json_false());
	return schema;
}

static json_t *object_schema(const struct key *key, json_t *defs)
{
	if (!key->type_name)
		return keys_schema(key->keys, defs);
	if (!json_object_get(defs, key->type_name)) {
		/* Taken first, so that rows that use themselves end. */
		json_object_set_new(defs, key->type_name, json_true());
		json_object_set_new(defs, key->type_name, keys_schema(key->keys, defs));
	}
	AUTO(buf_free) struct buf ref = BUF_INIT(256);
	buf_printf(&ref, "#/$defs/%s", key->type_name);
	return json_pack("{ss}", "$ref", buf_str(&ref));
}

static json_t *full_schema(const struct key *key, json_t *defs)
{
	switch (key->kind) {
	case KEY_KIND_INT:
		return int_schema(key);
	case KEY_KIND_BOOL:
		return typed("boolean");
	case KEY_KIND_STR:
		return str_schema(key);
	case KEY_KIND_TEXT:
		return text_schema();
	case KEY_KIND_DURATION:
		return duration_schema();
	case KEY_KIND_SIZE:
		return pattern_schema("^[0-9]+[kKmMgG]?$");
	case KEY_KIND_ENUM:
		return enum_schema(key);
	case KEY_KIND_LIST:
		return list_schema(key, defs);
	case KEY_KIND_MAP:
		return map_schema(key, defs);
	case KEY_KIND_OBJECT:
		return object_schema(key, defs);
	case KEY_KIND_NODE:
	case KEY_KIND_INCLUDE:
	case KEY_KIND_LATER:
		break;
	}
	ASSERT(!"a kind with a schema");
	return NULL;
}

static const struct key *short_row(const struct key *key)
{
	if (key->kind == KEY_KIND_MAP)
		return key->item;
	for (const struct key *row = key->keys; row->name; row++)
		if (strcmp(row->name, key->short_key) == 0)
			return row;
	ASSERT(!"the short key is one of the keys");
	return NULL;
}

static json_t *value_schema(const struct key *key, json_t *defs)
{
	json_t *schema = full_schema(key, defs);
	if (key->short_key)
		schema = either(value_schema(short_row(key), defs), schema);
	if (key->short_schema) {
		json_t *other = json_loads(key->short_schema, JSON_DECODE_ANY, NULL);
		ASSERT(other);
		schema = either(other, schema);
	}
	return schema;
}

void key_print_schema(const struct key_page *page, const struct key *keys, struct buf *out)
{
	AUTO(json_free) json_t *defs = json_object();
	AUTO(json_free) json_t *body = keys_schema(keys, defs);
	AUTO(json_free) json_t *schema = json_object();
	set_text(schema, "$schema", "https://json-schema.org/draft/2020-12/schema");
	set_text(schema, "$id", page->id);
	set_text(schema, "title", page->title);
	json_object_update(schema, body);
	if (json_object_size(defs))
		json_object_set(schema, "$defs", defs);
	json_put_pretty(out, schema);
}
