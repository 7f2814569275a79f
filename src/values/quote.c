/* Quoting values for formats: see template.h. */
#include "values/template.h"

bool quote_format_known(struct slice format)
{
	static const char *const names[] = {"json", "yaml", "shell",  "dotenv", "php",
					    "ini",  "url",  "base64", "raw"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (slice_is(format, names[i]))
			return true;
	return false;
}
