/* Claims about the table of probes: every row can be read, and docs/reference/facts.md is
 * what the rows print (LOCKSTEP_UPDATE_DOCS=1 writes it anew). */
#include "probe/probe.h"

#include "base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static void the_page_is_current(void **state)
{
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(1)), expected = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;
	const char *slash = strrchr(__FILE__, '/');
	char path[4096];

	(void)state;
	probe_print_reference(&text);
	assert_false(text.overflow);
	snprintf(path, sizeof(path), "%.*s/../../../docs/reference/facts.md", (int)(slash - __FILE__), __FILE__);
	bool there = file_read_at(AT_FDCWD, path, &expected, &err) == 0;
	/* Behind that line stands what other modules print. */
	const char *beside = there ? strstr(buf_str(&expected), "<!-- beside -->") : NULL;
	if (getenv("LOCKSTEP_UPDATE_DOCS")) {
		if (beside)
			buf_printf(&text, "\n%s", beside);
		assert_int_equal(file_replace_at(AT_FDCWD, path, buf_slice(&text), 0644, &err), 0);
		return;
	}
	if (!there)
		fail_msg("%s", err.text);
	if (beside)
		expected.ptr[beside - expected.ptr - 1] = '\0';
	assert_string_equal(buf_str(&text), buf_str(&expected));
}

static void rows_are_in_order_and_whole(void **state)
{
	(void)state;
	for (size_t i = 0; probes[i]; i++) {
		const struct probe *probe = probes[i];
		if (i && strcmp(probes[i - 1]->dimension, probe->dimension) >= 0)
			fail_msg("%s stands behind %s", probe->dimension, probes[i - 1]->dimension);
		assert_ptr_equal(probe_find(slice_of(probe->dimension)), probe);
		assert_non_null(probe->run);
		assert_true(probe->text[0] && probe->facts && probe->facts[0].key);
		for (const struct probe_fact *fact = probe->facts; fact->key; fact++) {
			if (!slice_equal(fact_dimension(slice_of(fact->key)), slice_of(probe->dimension)))
				fail_msg("%s is not of %s", fact->key, probe->dimension);
			if (!fact->kind || !fact->text || strchr(fact->text, '|') || strchr(fact->key, '|'))
				fail_msg("%s would break the table", fact->key);
		}
	}
	assert_null(probe_find(SLICE("nosuch")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_current),
		cmocka_unit_test(rows_are_in_order_and_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
