/* config show: the project file with its templates merged in, and where each value
 * comes from. */
#include "api/list.h"

#include "doc/yaml_write.h"
#include "project/resolved.h"

enum { TEXT_MAX_BYTES = 16 << 20 };

static void put_origin(void *context, const struct node *node, struct buf *out)
{
	(void)context;
	project_put_origin(node, out);
}

static json_t *scalar_json(const struct node *node)
{
	switch (node->kind) {
	case NODE_NULL:
		return json_null();
	case NODE_BOOL:
		return json_boolean(node->boolean);
	case NODE_INT:
		return json_integer((json_int_t)node->integer);
	case NODE_FLOAT:
	case NODE_STR:
		break;
	case NODE_LIST:
		return json_array();
	case NODE_MAP:
		return json_object();
	}
	return json_text(node->text);
}

/* Every value with its place; lists and maps around them stay what they are. */
static json_t *value_json(const struct node *node)
{
	json_t *out;
	if (node->count == 0) {
		AUTO(buf_free) struct buf origin = BUF_INIT(4096);
		project_put_origin(node, &origin);
		return json_pack("{s:o, s:o, s:I}", "value", scalar_json(node), "origin", json_text(buf_slice(&origin)),
				 "column", (json_int_t)node->origin.column);
	}
	out = node->kind == NODE_LIST ? json_array() : json_object();
	for (size_t i = 0; i < node->count; i++) {
		if (node->kind == NODE_LIST)
			json_array_append_new(out, value_json(node->items[i].value));
		else
			json_object_set_new(out, node->entries[i].key.ptr, value_json(node->entries[i].value));
	}
	return out;
}

static json_t *templates_json(const struct project *project)
{
	json_t *list = json_array();
	for (size_t i = 0; i < project->templates.count; i++) {
		const struct project_template *row = &project->templates.items[i];
		json_array_append_new(list, json_pack("{s:o, s:s}", "template", json_cstr(row->address), "digest",
						      row->digest));
	}
	return list;
}

static int run_show(struct engine *engine, const json_t *in, json_t **out, struct err *err)
{
	const struct project *project = engine->project;
	const struct environment *only = NULL;
	const char *name = input_str(in, "environment");
	const struct yaml_write_options options = { .comment = put_origin };
	AUTO(buf_free) struct buf text = BUF_INIT(TEXT_MAX_BYTES);

	if (name && project_find_environment(project, name, &only, err))
		return -1;
	const struct node *view = project_view(&engine->arena, project, only, input_flag(in, "resolved"));
	yaml_write(view, &options, &text);
	if (buf_check(&text, "the merged file", err))
		return -1;
	*out = json_pack("{s:s, s:o, s:o, s:o}", "file", project->file, "templates", templates_json(project), "config",
			 value_json(view), "text", json_text(buf_slice(&text)));
	return 0;
}

static const struct operation_key keys[] = {
	{ "environment", OPERATION_STRING, .positional = true, .optional = true, .value = "ENV",
	  .text = "leave out the other environments" },
	{ "resolved", OPERATION_FLAG,
	  .text = "give every environment what it takes from `deploy`, and the defaults nobody wrote" },
};

const struct operation operation_config_show = {
	.name = "config show",
	.summary = "print lockstep.yml with its templates merged in, and where each value was written",
	.details = "The comment behind a value names file and line. What a template says and the project replaces is not\n"
		   "shown.",
	.keys = keys,
	.key_count = ARRAY_LEN(keys),
	.permission = PERMISSION_READ,
	.need = NEED_PROJECT,
	.run = run_show,
};
