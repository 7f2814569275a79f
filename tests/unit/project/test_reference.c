/* The pages in docs/reference are what the tables print. */
#include "support.h"

#include "project/project.h"

static void the_reference_page_is_current(void **state)
{
	(void)state;
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(4));
	project_print_reference(&text);
	assert_false(text.overflow);
	assert_same_as_file("../../../docs/reference/lockstep.yml.md", &text);
}

static void the_schema_is_current(void **state)
{
	(void)state;
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(4));
	project_print_schema(&text);
	assert_false(text.overflow);
	assert_same_as_file("../../../docs/reference/lockstep.schema.json", &text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reference_page_is_current),
		cmocka_unit_test(the_schema_is_current),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
