/* Claims about the table of collectors: every row can be read, and docs/reference/facts.md goes on
 * with what the rows print (LOCKSTEP_UPDATE_DOCS=1 writes it anew). */
#include "collect/collect.h"

#include "base/fd.h"

#include "../cmocka_base.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

static const char mark[] = "<!-- beside -->\n";

static void the_page_is_current(void **state)
{
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(1)), page = BUF_INIT(MIB(1));
	struct err err = ERR_INIT;
	const char *slash = strrchr(__FILE__, '/');
	char path[4096];

	(void)state;
	buf_puts(&text, mark);
	buf_puts(&text, "\nWhat follows is seen from beside an environment, not on its servers.\n\n");
	collect_print_reference(&text);
	snprintf(path, sizeof(path), "%.*s/../../../docs/reference/facts.md", (int)(slash - __FILE__), __FILE__);
	if (file_read_at(AT_FDCWD, path, &page, &err))
		fail_msg("%s", err.text);
	const char *beside = strstr(buf_str(&page), mark);
	if (getenv("LOCKSTEP_UPDATE_DOCS")) {
		AUTO(buf_free) struct buf whole = BUF_INIT(MIB(2));
		buf_put(&whole, page.ptr, beside ? (size_t)(beside - page.ptr) : page.len);
		buf_puts(&whole, beside ? "" : "\n");
		buf_put_slice(&whole, buf_slice(&text));
		assert_int_equal(file_replace_at(AT_FDCWD, path, buf_slice(&whole), 0644, &err), 0);
		return;
	}
	assert_non_null(beside);
	assert_string_equal(beside, buf_str(&text));
}

static void rows_are_in_order_and_of_their_dimension(void **state)
{
	(void)state;
	assert_non_null(collectors[0]);
	for (size_t i = 0; collectors[i]; i++) {
		const char *name = collectors[i]->dimension;
		if (i && strcmp(collectors[i - 1]->dimension, name) >= 0)
			fail_msg("%s stands behind %s", name, collectors[i - 1]->dimension);
		assert_non_null(collectors[i]->facts[0].key);
		for (const struct collect_fact *fact = collectors[i]->facts; fact->key; fact++)
			if (strncmp(fact->key, name, strlen(name)) != 0 || fact->key[strlen(name)] != '/')
				fail_msg("%s is no key of %s", fact->key, name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_current),
		cmocka_unit_test(rows_are_in_order_and_of_their_dimension),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
