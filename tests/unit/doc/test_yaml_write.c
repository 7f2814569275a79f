/* What is written reads back as the same tree, whatever is in it. */
#include "doc/yaml.h"
#include "doc/yaml_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

static const struct node *parse(struct slice text)
{
	const struct node *node = NULL;
	struct yaml_limits limits = YAML_LIMITS;
	if (yaml_parse(&arena, "f", text, &limits, &node, diags)) {
		AUTO(buf_free) struct buf shown = BUF_INIT(KIB(64));
		diags_print(diags, &shown);
		fail_msg("%s\n%.*s", buf_str(&shown), SLICE_ARG(text));
	}
	return node;
}

static void assert_survives(const struct node *node)
{
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(4));
	yaml_write(node, NULL, &text);
	assert_false(text.overflow);
	if (!node_equal(node, parse(buf_slice(&text))))
		fail_msg("reads back as something else:\n%s", buf_str(&text));
}

static void texts_of_all_sorts_survive(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"a",
		"",
		" ",
		"a b",
		" a",
		"a ",
		"a  b",
		"true",
		"null",
		"~",
		"5",
		"-5",
		"1.5",
		"0x1F",
		"- a",
		"-",
		"--",
		"---",
		"...",
		"#a",
		"a #b",
		"a: b",
		"a:",
		":a",
		"a:b",
		"? a",
		"?",
		"[a]",
		"{a: b}",
		"&a",
		"*a",
		"!a",
		"|",
		">",
		"%a",
		"@a",
		"`a`",
		"'a'",
		"\"a\"",
		"a\\b",
		"a\nb",
		"a\n",
		"\n\na",
		"a\tb",
		"\ta",
		"\x01\x1b",
		"\x7f",
		"ä ö ü",
		"日本語",
		"\xc2\x85",
		"<<",
		"=",
		"a, b",
		"a]",
		"$(x)",
		"${APP_URL}/up",
		"😀",
		"\xe2\x80\xa8",
		"\xef\xbb\xbf",
		"a\r\nb",
		"yes",
		"on",
		"1_000",
		"1:30",
		"2026-01-01",
		"\xc2\xa0",
		("a\xe2\x80\xae"
		 "b"),
		".inf",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct node text = {.kind = NODE_STR, .text = slice_of(texts[i])};
		struct node_item *items = ARENA_NEW_ARRAY(&arena, 1, struct node_item);
		struct node_entry *entries = ARENA_NEW_ARRAY(&arena, 2, struct node_entry);
		items[0].value = &text;
		entries[0] = (struct node_entry){.key = slice_of(texts[i]), .value = &text};
		entries[1] = (struct node_entry){.key = slice_of("other key"),
						 .value = node_list_make(&arena, text.origin, items, 1)};
		assert_survives(&text);
		assert_survives(node_map_make(&arena, text.origin, entries, 2));
	}
}

static void what_a_file_says_survives(void **state)
{
	(void)state;
	static const char *const files[] = {
		"a: {b: [1, {c: ~, d: []}, [x, [y]], {}], e: !!float 5, f: !!str 5, g: 1e3}\n",
		"- - - a\n    - b\n  - {c: d}\n- |\n  block\n   text\n- >\n  folded\n  text\n",
		"x: &x {a: 1}\ny: {<<: *x, b: 2}\n\"<<\": no merge\n5: number\ntrue: word\n\"\": empty\n",
		"just a text\n",
		"",
		"a: 0o17\nb: 0x1F\nc: +12\nd: 99999999999999999999\ne: -.inf\nf: .NaN\ng: TRUE\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		assert_survives(parse(slice_of(files[i])));
}

static uint32_t seed;

static uint32_t dice(uint32_t sides)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % sides;
}

static struct slice any_text(void)
{
	static const char *const pieces[] = {"a",  " ",	   ":",	   "#", "-",  "\n", "\"", "'", "5",
					     "\\", "\t",   "[",	   "]", "{",  "}",  ",",  "&", "*",
					     "!",  "|",	   ">",	   "%", "@",  "`",  "~",  "é", "\xe2\x80\xa8",
					     "😀",  "true", "\x01", "?", "<<", "\r", ".",  "0x"};
	AUTO(buf_free) struct buf text = BUF_INIT(4096);
	uint32_t count = dice(40) ? dice(7) : 600;
	for (uint32_t i = 0; i < count; i++)
		buf_puts(&text, pieces[dice(ARRAY_LEN(pieces))]);
	return arena_slice(&arena, buf_slice(&text));
}

static const struct node *any_node(int depth)
{
	static const char *const scalars[] = {"5",     "-7", "0x1F", "1.5",  "true",
					      "False", "",   "null", ".inf", "1e3"};
	struct node *node = ARENA_NEW(&arena, struct node);
	uint32_t kind = dice(depth > 0 ? 5 : 3);
	size_t count = dice(4);
	if (kind == 0) {
		node->text = slice_of(scalars[dice(ARRAY_LEN(scalars))]);
		node->kind = yaml_core_kind(node->text, &node->boolean, &node->integer);
		return node;
	}
	if (kind < 3) {
		*node = (struct node){.kind = NODE_STR, .text = any_text()};
		return node;
	}
	struct node_item *items = ARENA_NEW_ARRAY(&arena, count, struct node_item);
	struct node_entry *entries = ARENA_NEW_ARRAY(&arena, count, struct node_entry);
	for (size_t i = 0; i < count; i++) {
		items[i].value = any_node(depth - 1);
		struct slice key = any_text();
		entries[i] = (struct node_entry){
			.key = slice_of(arena_printf(&arena, "%.*s%zu", SLICE_ARG(key), i)),
			.value = items[i].value};
	}
	return kind == 3 ? node_list_make(&arena, node->origin, items, count)
			 : node_map_make(&arena, node->origin, entries, count);
}

static void any_tree_survives(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 3000; round++) {
		seed = round * 2654435761u;
		assert_survives(any_node(4));
		arena_free(&arena);
		setup(NULL);
	}
}

static void put_line(void *context, const struct node *node, struct buf *out)
{
	(void)context;
	buf_printf(out, "%s:%u", node->origin.file->name, node->origin.line);
}

static void comments_tell_where_a_value_stands(void **state)
{
	(void)state;
	AUTO(buf_free) struct buf text = BUF_INIT(KIB(4));
	const struct yaml_write_options options = {.comment = put_line};
	yaml_write(parse(slice_of("deploy:\n  keep: 5\n  hooks: {after_live: [\"a: b\"]}\n  none: {}\n")),
		   &options, &text);
	assert_string_equal(buf_str(&text), "deploy:\n"
					    "  keep: 5                                # f:2\n"
					    "  hooks:\n"
					    "    after_live:\n"
					    "      - \"a: b\"                           # f:3\n"
					    "  none: {}                               # f:4\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(texts_of_all_sorts_survive, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_file_says_survives, setup, teardown),
		cmocka_unit_test_setup_teardown(any_tree_survives, setup, teardown),
		cmocka_unit_test_setup_teardown(comments_tell_where_a_value_stands, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
