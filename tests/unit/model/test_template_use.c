/* What an environment was delivered with replaces what was known of it before. */
#include "fixture.h"

#include "model/template_use.h"

static void the_last_delivery_is_what_is_known(void **state)
{
	struct fixture *f = *state;
	struct template_use uses[] = {
		{"lockstep:php", hex64(f, "aa")},
		{"deploy/common.yml", hex64(f, "bb")},
	};
	struct delivered row = {
		.project = "shop",
		.environment = "staging",
		.file = "/home/ana/shop/lockstep.yml",
		.digest = hex64(f, "cc"),
		.settings = "{\"keep\":[\"5\",null]}",
		.deployment = "261122-k3m9x",
		.used_ms = 4000,
		.templates = uses,
		.template_count = 2,
	};
	struct delivered other = row;
	other.project = "blog";
	other.template_count = 0;
	assert_int_equal(delivered_put(f->db, &row, &f->err), 0);
	assert_int_equal(delivered_put(f->db, &other, &f->err), 0);
	row.used_ms = 5000;
	row.template_count = 1;
	row.templates = &uses[1];
	assert_int_equal(delivered_put(f->db, &row, &f->err), 0);

	struct delivered_list list;
	assert_int_equal(delivered_list(f->db, &f->arena, NULL, &list, &f->err), 0);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0].project, "blog");
	assert_int_equal(list.items[0].template_count, 0);
	assert_int_equal(delivered_list(f->db, &f->arena, "shop", &list, &f->err), 0);
	assert_int_equal(list.count, 1);
	assert_true(list.items[0].used_ms == 5000);
	assert_string_equal(list.items[0].settings, row.settings);
	assert_string_equal(list.items[0].digest, row.digest);
	assert_string_equal(list.items[0].file, row.file);
	assert_int_equal(list.items[0].template_count, 1);
	assert_string_equal(list.items[0].templates[0].address, "deploy/common.yml");
	assert_string_equal(list.items[0].templates[0].digest, uses[1].digest);
	assert_int_equal(delivered_list(f->db, &f->arena, "nobody", &list, &f->err), 0);
	assert_int_equal(list.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_last_delivery_is_what_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
