/* provider_read URL [--names] [--version V] [--endpoint E] [--folder F] [--keys NAME=PATH]...
 * Reads a provider and prints a line of JSON: each entry's version, place, whether it is
 * plain, and the HMAC-SHA-256 of its value under the key "test", so that tests compare
 * values without having them printed. */
#include "codec/digest.h"
#include "doc/json.h"
#include "secret/provider.h"

#include <stdio.h>

enum { MAPPINGS_MAX = 64 };

static struct provider_mapping mappings[MAPPINGS_MAX];

static bool take(struct provider_call *call, const char *option, const char *value)
{
	if (strcmp(option, "--version") == 0)
		call->version = value;
	else if (strcmp(option, "--endpoint") == 0)
		call->endpoint = value;
	else if (strcmp(option, "--folder") == 0)
		call->folder = value;
	else if (strcmp(option, "--timeout") == 0 && slice_to_duration_ms(slice_of(value), &call->timeout_ms))
		return true;
	else if (strcmp(option, "--keys") == 0 && strchr(value, '=') && call->mapping_count < MAPPINGS_MAX) {
		const char *equals = strchr(value, '=');
		mappings[call->mapping_count++] = (struct provider_mapping){
			arena_str(call->arena, slice_make(value, (size_t)(equals - value))), equals + 1};
	} else
		return false;
	return true;
}

static void print_entries(const struct provider_entries *entries)
{
	AUTO(buf_free) struct buf text = BUF_INIT(8 << 20);
	AUTO(json_free) json_t *all = json_object();

	for (size_t i = 0; i < entries->count; i++) {
		const struct provider_entry *entry = &entries->items[i];
		char hex[DIGEST_HEX_LEN + 1] = "";
		struct digest mac;
		if (secret_present(entry->value)) {
			digest_hmac(SLICE("test"), secret_reveal(entry->value), &mac);
			digest_to_hex(&mac, hex);
		}
		json_object_set_new(all, entry->name,
				    json_pack("{s:o, s:o, s:b, s:o, s:b}", "version",
					      json_cstr(entry->version), "place", json_cstr(entry->place),
					      "plain", entry->plain, "hmac", json_cstr(*hex ? hex : NULL),
					      "dated", entry->changed_ms > 0));
	}
	json_put(&text, all);
	puts(buf_str(&text));
}

int main(int argc, char **argv)
{
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	AUTO(safe_close) struct safe *safe = safe_open();
	struct provider_call call = {.arena = &arena, .safe = safe, .url = argv[1], .mappings = mappings};
	struct provider_entries entries;
	struct err err = ERR_INIT;

	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], "--names") == 0)
			call.names_only = true;
		else if (i + 1 == argc || !take(&call, argv[i], argv[i + 1]))
			return fprintf(stderr, "provider_read: %s?\n", argv[i]), 1;
		else
			i++;
	if (argc < 2 || provider_read(&call, &entries, &err)) {
		fprintf(stderr, "%s\n%s%s%s", err.text, *err.hint ? "hint: " : "", err.hint,
			*err.hint ? "\n" : "");
		return err.code ? (int)err.code : 1;
	}
	print_entries(&entries);
	return 0;
}
