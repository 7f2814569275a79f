/* What systemctl shows, and crontabs. */
#include "probe/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_make(data, size);

	struct slice rest = text;
	struct parsed_unit unit;
	struct parsed_cron cron;
	size_t calls = 0;

	while (parse_unit_next(&rest, &unit)) {
		ASSERT(++calls <= size);
		ASSERT(unit.id.len > 0);
	}
	while (text.ptr) {
		struct slice line = slice_cut(&text, '\n');
		AUTO(buf_free) struct buf plain = BUF_INIT(KIB(64));
		if (!parse_cron(line, size & 1, &cron))
			continue;
		if (cron.name.len == 0)
			ASSERT(cron.command.len > 0 && cron.schedule.len > 0);
		parse_cron_redact(cron.command, &plain);
		ASSERT(plain.overflow || plain.len <= 4 * cron.command.len);
	}
	return 0;
}
