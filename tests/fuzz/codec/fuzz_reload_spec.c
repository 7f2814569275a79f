/* Reload specs of any bytes: what is accepted can be put together again, and holds nothing that a
 * shell would read differently where it names a unit or a program. */
#include "codec/reload_spec.h"

#include "base/buf.h"

static void check_accepted(struct slice text, const struct reload_spec *spec)
{
	AUTO(buf_free) struct buf again = BUF_INIT(KIB(8));
	struct slice subject;

	ASSERT(reload_spec_is(text, spec->kind, &subject) && slice_equal(subject, spec->subject));
	ASSERT((spec->signal != 0) == (spec->kind == RELOAD_PIDFILE));
	ASSERT((subject.len == 0) == (spec->kind == RELOAD_NONE));
	buf_puts(&again, reload_spec_name(spec->kind));
	if (subject.len)
		buf_printf(&again, ":%.*s", SLICE_ARG(subject));
	ASSERT(slice_starts_with(text, buf_str(&again)));
	ASSERT(spec->kind == RELOAD_PIDFILE || text.len == again.len);
	if (spec->kind == RELOAD_SYSTEMD || spec->kind == RELOAD_SUPERVISOR)
		for (size_t i = 0; i < subject.len; i++)
			ASSERT(!strchr("'\"$`;&|<>()[]{}?~!# \t\n", subject.ptr[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_make(data, MIN(size, (size_t)4096));
	struct reload_spec spec;
	const char *fault = reload_spec_parse(text, &spec);

	if (!fault)
		check_accepted(text, &spec);
	else
		ASSERT(fault[0]);
	return 0;
}
