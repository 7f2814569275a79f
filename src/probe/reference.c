/* The page of facts, printed from the rows. Not part of the agent. */
#include "probe/probe.h"

void probe_print_reference(struct buf *out)
{
	buf_puts(out, "# Facts seen on servers\n"
		      "\n"
		      "What the agent looks at, without root and changing nothing. A fact is named\n"
		      "`dimension/subject/attribute`; capital letters stand for what is found. Facts of kind\n"
		      "evidence are shown beside a finding and never compared. What could not be read is said to be\n"
		      "`not_checked`, with the reason, under the name it would have had, or, where nothing of\n"
		      "it could be, under the dimension.\n");
	for (size_t i = 0; probes[i]; i++) {
		buf_printf(out, "\n## %s\n\n%s\n\n| fact | kind | |\n| --- | --- | --- |\n", probes[i]->dimension,
			   probes[i]->text);
		for (const struct probe_fact *fact = probes[i]->facts; fact->key; fact++)
			buf_printf(out, "| `%s` | %s | %s |\n", fact->key, fact->kind, fact->text);
	}
}
