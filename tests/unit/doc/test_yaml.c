/* What a YAML text becomes: kinds by the core schema, positions, anchors, merging. */
#include "doc/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;
static struct diags *diags;

static int setup(void **state)
{
	(void)state;
	diags = ARENA_NEW(&arena, struct diags);
	*diags = DIAGS_INIT(&arena);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static const struct node *parse(const char *text)
{
	const struct node *node = NULL;
	struct yaml_limits limits = YAML_LIMITS;
	if (yaml_parse(&arena, "f", slice_of(text), &limits, &node, diags)) {
		AUTO(buf_free) struct buf shown = BUF_INIT(KIB(64));
		diags_print(diags, &shown);
		fail_msg("%s", buf_str(&shown));
	}
	return node;
}

static void plain_words_follow_the_core_schema(void **state)
{
	static const struct {
		const char *text;
		enum node_kind kind;
		int64_t integer;
	} cases[] = {
		{"~", NODE_NULL, 0},
		{"null", NODE_NULL, 0},
		{"nUll", NODE_STR, 0},
		{"true", NODE_BOOL, 1},
		{"FALSE", NODE_BOOL, 0},
		{"tRUE", NODE_STR, 0},
		{"yes", NODE_STR, 0},
		{"no", NODE_STR, 0},
		{"on", NODE_STR, 0},
		{"0", NODE_INT, 0},
		{"-7", NODE_INT, -7},
		{"+12", NODE_INT, 12},
		{"007", NODE_INT, 7},
		{"0x1F", NODE_INT, 31},
		{"0o17", NODE_INT, 15},
		{"-0x1", NODE_STR, 0},
		{"0x", NODE_STR, 0},
		{"0o8", NODE_STR, 0},
		{"1_000", NODE_STR, 0},
		{"1:30", NODE_STR, 0},
		{"0b1", NODE_STR, 0},
		{"1.5", NODE_FLOAT, 0},
		{".5", NODE_FLOAT, 0},
		{"1.", NODE_FLOAT, 0},
		{"1e3", NODE_FLOAT, 0},
		{"-1E-3", NODE_FLOAT, 0},
		{".", NODE_STR, 0},
		{"1e", NODE_STR, 0},
		{"e3", NODE_STR, 0},
		{"-.inf", NODE_FLOAT, 0},
		{".nan", NODE_FLOAT, 0},
		{"-.nan", NODE_STR, 0},
		{"1.2.3", NODE_STR, 0},
		{"+", NODE_STR, 0},
		{"2024-01-01", NODE_STR, 0},
		{"9223372036854775807", NODE_INT, INT64_MAX},
		{"-9223372036854775808", NODE_INT, INT64_MIN},
		{"9223372036854775808", NODE_FLOAT, 0},
		{"99999999999999999999999999999999999999999", NODE_FLOAT, 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool boolean = false;
		int64_t integer = 0;
		enum node_kind kind = yaml_core_kind(slice_of(cases[i].text), &boolean, &integer);
		if (kind != cases[i].kind)
			fail_msg("%s is %s", cases[i].text, node_kind_words(kind));
		if (kind == NODE_INT)
			assert_int_equal(integer, cases[i].integer);
		if (kind == NODE_BOOL)
			assert_int_equal(boolean, cases[i].integer);
	}
}

static void quotes_and_blocks_make_text(void **state)
{
	static const char *const texts[] = {"a: '5'", "a: \"5\"",     "a: !!str 5",
					    "a: ! 5", "a: |-\n  5\n", "a: >-\n  5\n"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const struct node *value = node_get(parse(texts[i]), "a");
		assert_int_equal(value->kind, NODE_STR);
		assert_true(value->quoted);
		assert_string_equal(value->text.ptr, "5");
	}
}

static void everything_has_a_place(void **state)
{
	(void)state;
	const struct node *root = parse("# c\nkey:\n  - 1\n  - {a: \"\xc3\xa9\", 'b': two}\nnothing:\n");
	assert_int_equal(root->origin.line, 2);
	assert_string_equal(origin_text(&arena, node_key_origin(root, "nothing")), "f:5:1");
	const struct node *list = node_get(root, "key");
	assert_string_equal(origin_text(&arena, list->origin), "f:3:3");
	assert_string_equal(origin_text(&arena, list->items[0].value->origin), "f:3:5");
	const struct node *map = list->items[1].value;
	assert_string_equal(origin_text(&arena, map->origin), "f:4:5");
	assert_string_equal(origin_text(&arena, node_get(map, "a")->origin), "f:4:9");
	/* Columns count characters, not bytes. */
	assert_string_equal(origin_text(&arena, node_key_origin(map, "b")), "f:4:14");
	assert_string_equal(origin_text(&arena, node_get(map, "b")->origin), "f:4:19");
	assert_int_equal(node_get(root, "nothing")->kind, NODE_NULL);
	assert_string_equal(origin_text(&arena, node_get(root, "nothing")->origin), "f:5:1");
	assert_null(node_get(root, "absent"));
	assert_string_equal(origin_text(&arena, node_key_origin(root, "absent")), "f:2:1");
}

static void anchors_and_merging_work(void **state)
{
	(void)state;
	const struct node *root = parse("base: &b {a: 1, b: 2}\n"
					"more: &m {b: 3, c: 4}\n"
					"one: {<<: *b, a: own}\n"
					"two: {z: 0, <<: [*b, *m]}\n"
					"same: *b\n"
					"text: {\"<<\": kept}\n");
	const struct node *one = node_get(root, "one");
	assert_int_equal(one->count, 2);
	assert_string_equal(node_get(one, "a")->text.ptr, "own");
	assert_string_equal(node_get(one, "b")->text.ptr, "2");
	assert_int_equal(node_key_origin(one, "b").line, 1);
	const struct node *two = node_get(root, "two");
	assert_int_equal(two->count, 4);
	assert_string_equal(node_get(two, "b")->text.ptr, "2");
	assert_string_equal(node_get(two, "c")->text.ptr, "4");
	assert_ptr_equal(node_get(root, "same"), node_get(root, "base"));
	assert_string_equal(node_get(node_get(root, "text"), "<<")->text.ptr, "kept");
}

static void file_order_is_kept(void **state)
{
	(void)state;
	const struct node *root = parse("z: 1\na: 2\nm: 3\n");
	assert_true(slice_is(root->entries[0].key, "z"));
	assert_true(slice_is(root->entries[1].key, "a"));
	assert_true(slice_is(root->entries[2].key, "m"));
	assert_string_equal(node_get(root, "m")->text.ptr, "3");
}

static void nothing_is_a_document_too(void **state)
{
	static const char *const texts[] = {"", "\n\n", "# only this\n", "---\n", "\xef\xbb\xbf"};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(parse(texts[i])->kind, NODE_NULL);
	assert_int_equal(parse("%YAML 1.2\n---\na: 1\n...\n")->kind, NODE_MAP);
	assert_int_equal(parse("a: 1\r\nb: 2\r\n")->count, 2);
}

static void keys_twice_leave_a_tree_for_further_mistakes(void **state)
{
	(void)state;
	const struct node *root = NULL;
	struct yaml_limits limits = YAML_LIMITS;
	assert_int_equal(
		yaml_parse(&arena, "f", SLICE("a: 1\na: 2\nb: {c: 1, c: 2, c: 3}\n"), &limits, &root, diags),
		-1);
	assert_int_equal(diags->errors, 3);
	assert_string_equal(node_get(root, "a")->text.ptr, "1");
}

static void limits_are_kept(void **state)
{
	static const struct {
		const char *text;
		struct yaml_limits limits;
		const char *message;
	} cases[] = {
		{"a: 1\n", {4, 10, 10}, "larger than 4 bytes"},
		{"[[1]]", {100, 1, 10}, "nested more than 1 deep"},
		{"[1,2]", {100, 5, 2}, "more than 2 values, counting what aliases stand for"},
		{"[&a [1,2],*a]", {100, 5, 6}, "more than 6 values, counting what aliases stand for"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct node *root = NULL;
		setup(state);
		assert_int_equal(
			yaml_parse(&arena, "f", slice_of(cases[i].text), &cases[i].limits, &root, diags), -1);
		assert_null(root);
		assert_string_equal(diags->items[0].text, cases[i].message);
	}
	const struct node *root = NULL;
	const struct yaml_limits enough = {100, 2, 7};
	assert_int_equal(yaml_parse(&arena, "f", SLICE("[&a [1,2],*a]"), &enough, &root, diags), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(plain_words_follow_the_core_schema),
		TEST(quotes_and_blocks_make_text),
		TEST(everything_has_a_place),
		TEST(anchors_and_merging_work),
		TEST(file_order_is_kept),
		TEST(nothing_is_a_document_too),
		TEST(keys_twice_leave_a_tree_for_further_mistakes),
		TEST(limits_are_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
