/* Two databases read and their facts compared; addresses by standard input, one a line.
 * What bench/schema.py measures. Comparison is the linear merge of two sorted lists. */
#include "base/fd.h"
#include "introspect/introspect.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool same(const struct fact *a, const struct fact *b)
{
	return a->kind == b->kind && slice_equal(a->value, b->value);
}

/* Facts of the schema only, as the dump has nothing else. */
static bool counts(const struct fact *fact)
{
	return !fact->evidence && !slice_starts_with(fact->key, "db/main/machine/") &&
	       !slice_starts_with(fact->key, "db/main/setting/");
}

static size_t differences(const struct fact_list *a, const struct fact_list *b)
{
	size_t i = 0, k = 0, found = 0;

	while (i < a->count || k < b->count) {
		int order = i == a->count   ? 1
			    : k == b->count ? -1
					    : slice_compare(a->items[i].key, b->items[k].key);
		const struct fact *fact = order <= 0 ? &a->items[i] : &b->items[k];
		if (counts(fact) && (order != 0 || !same(&a->items[i], &b->items[k])))
			found++;
		i += order <= 0;
		k += order >= 0;
	}
	return found;
}

int main(void)
{
	struct fact_list lists[2] = {FACT_LIST_INIT(DATABASE_FACTS_BYTES_MAX),
				     FACT_LIST_INIT(DATABASE_FACTS_BYTES_MAX)};
	struct arena arena = ARENA_INIT;
	struct err err = ERR_INIT;
	AUTO(buf_free) struct buf input = BUF_INIT(8192);

	if (fd_read_all(STDIN_FILENO, &input, &err))
		return 2;
	struct slice rest = buf_slice(&input);
	for (int i = 0; i < 2; i++) {
		struct database_spec spec = {.name = "main"};
		if (database_address_parse(&arena, slice_trim(slice_cut(&rest, '\n')), &spec.address, &err) ||
		    introspect_database(&spec, &lists[i], &err)) {
			fprintf(stderr, "%s\n", err.text);
			return 1;
		}
		fact_list_sort(&lists[i]);
	}
	printf("{\"facts\": %zu, \"different\": %zu}\n", lists[0].count, differences(&lists[0], &lists[1]));
	fact_list_free(&lists[0]);
	fact_list_free(&lists[1]);
	arena_free(&arena);
	return 0;
}
