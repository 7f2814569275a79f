/* One reading of a provider, for tests that look at providers alone: prints names,
 * places, versions and HMACs of the values as JSON, or the error. With --hold it then
 * closes the safe, says so, and waits for its standard input to end, so that its memory
 * can be searched for what should no longer be there.
 *
 *	provider_read URL [--names] [--endpoint URL] [--version V] [--map NAME=PATH]...
 *	              [--timeout MS] [--folder DIR] [--hold] */
#include "base/random.h"
#include "codec/digest.h"
#include "doc/json.h"
#include "secret/provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAPPINGS_MAX = 32 };

static json_t *entry_json(const struct provider_entry *entry)
{
	json_t *json = json_pack("{s:s, s:s, s:s?, s:I, s:b}", "name", entry->name, "place", entry->place,
				 "version", entry->version, "changed_ms", (json_int_t)entry->changed_ms,
				 "plain", entry->plain);
	if (secret_present(entry->value)) {
		struct digest hmac;
		char text[2 * sizeof(hmac.bytes) + 1];
		digest_hmac(slice_of("test"), secret_reveal(entry->value), &hmac);
		hex_encode(hmac.bytes, sizeof(hmac.bytes), text);
		json_object_set_new(json, "hmac", json_string(text));
	}
	return json;
}

static json_t *outcome_json(const struct provider_call *call)
{
	struct provider_entries entries;
	struct err err = ERR_INIT;

	if (provider_read(call, &entries, &err))
		return json_pack("{s:{s:s, s:s, s:s}}", "error", "code", err_code_name(err.code), "text",
				 err.text, "hint", err.hint);
	json_t *list = json_array();
	for (size_t i = 0; i < entries.count; i++)
		json_array_append_new(list, entry_json(&entries.items[i]));
	return json_pack("{s:o, s:s?}", "entries", list, "version", entries.version);
}

static void mapping_add(struct provider_call *call, struct provider_mapping *mappings, char *text)
{
	char *equals = strchr(text, '=');
	ASSERT(equals && call->mapping_count < MAPPINGS_MAX);
	*equals = '\0';
	mappings[call->mapping_count++] = (struct provider_mapping){.name = text, .path = equals + 1};
}

int main(int argc, char **argv)
{
	struct provider_mapping mappings[MAPPINGS_MAX];
	struct arena arena = ARENA_INIT;
	struct safe *safe = safe_open();
	struct provider_call call = {.arena = &arena, .safe = safe, .url = argv[1], .mappings = mappings};
	bool hold = false;

	call.project = "shop";
	call.environment = "production";
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--names") == 0)
			call.names_only = true;
		else if (strcmp(argv[i], "--hold") == 0)
			hold = true;
		else if (i + 1 == argc)
			return 2;
		else if (strcmp(argv[i], "--endpoint") == 0)
			call.endpoint = argv[++i];
		else if (strcmp(argv[i], "--version") == 0)
			call.version = argv[++i];
		else if (strcmp(argv[i], "--timeout") == 0)
			call.timeout_ms = atoi(argv[++i]);
		else if (strcmp(argv[i], "--folder") == 0)
			call.folder = argv[++i];
		else if (strcmp(argv[i], "--map") == 0)
			mapping_add(&call, mappings, argv[++i]);
		else
			return 2;
	}
	json_t *outcome = outcome_json(&call);
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(16));
	json_put(&text, outcome);
	json_free(&outcome);
	safe_close(&safe);
	buf_putc(&text, '\n');
	if (write(STDOUT_FILENO, buf_str(&text), text.len) != (ssize_t)text.len)
		return 2;
	char byte;
	while (hold && read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	arena_free(&arena);
	return 0;
}
