/* How a probe says what it saw. The first failure stays and is told at the end. */
#include "probe/internal.h"

#include <stdio.h>

static void add(struct probe_sink *sink, const struct fact *fact)
{
	if (sink->failure.code == ERR_NONE)
		(void)!fact_add_fact(&sink->facts, fact, &sink->failure);
}

struct slice probe_key(struct probe_sink *sink, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	struct slice key = slice_of(arena_vprintf(&sink->arena, format, args));
	va_end(args);
	return key;
}

/* Longer ones are cut: a fact is for people, and equal texts stay equal. */
static struct slice bounded(struct slice value)
{
	value.len = MIN(value.len, (size_t)FACT_VALUE_MAX);
	return value;
}

void probe_text(struct probe_sink *sink, struct slice key, struct slice value)
{
	add(sink, &(struct fact){.key = key, .kind = FACT_TEXT, .value = bounded(value)});
}

void probe_str(struct probe_sink *sink, struct slice key, const char *value)
{
	if (value)
		probe_text(sink, key, slice_of(value));
}

void probe_version(struct probe_sink *sink, struct slice key, struct slice value)
{
	add(sink, &(struct fact){.key = key, .kind = FACT_VERSION, .value = bounded(value)});
}

void probe_number(struct probe_sink *sink, struct slice key, int64_t number, const char *unit)
{
	char text[64];

	snprintf(text, sizeof(text), unit && *unit ? "%lld %s" : "%lld", (long long)number, unit);
	add(sink, &(struct fact){.key = key, .kind = FACT_NUMBER, .value = slice_of(text)});
}

void probe_words(struct probe_sink *sink, struct slice key, const struct slice *words, size_t count)
{
	struct slice value = fact_set_value(&sink->arena, words, count);

	if (value.len > FACT_VALUE_MAX)
		probe_skip(sink, key, "more than %d bytes of it", FACT_VALUE_MAX);
	else
		add(sink, &(struct fact){.key = key, .kind = FACT_SET, .value = value});
}

void probe_digest(struct probe_sink *sink, struct slice key, const struct digest *digest)
{
	add(sink,
	    &(struct fact){.key = key, .kind = FACT_DIGEST, .value = slice_make(digest->bytes, DIGEST_LEN)});
}

/* Whether a fingerprint that is kept could be turned back by trying: short values, and those
 * of few different characters. */
static bool is_weak(struct slice value)
{
	enum { LEN = 16, DIFFERENT = 8 };
	bool seen[256] = {false};
	size_t different = 0;

	for (size_t i = 0; i < value.len; i++) {
		different += !seen[(uint8_t)value.ptr[i]];
		seen[(uint8_t)value.ptr[i]] = true;
	}
	return value.len < LEN || different < DIFFERENT;
}

void probe_secret(struct probe_sink *sink, struct slice key, struct slice value)
{
	struct fact fact = {.key = key, .kind = FACT_HMAC, .weak = is_weak(value)};
	struct digest digest;

	digest_hmac(slice_make(sink->request->run_key, DIGEST_LEN), value, &digest);
	fact.value = slice_make(digest.bytes, DIGEST_LEN);
	add(sink, &fact);
	if (!sink->request->has_kept_key || fact.weak)
		return;
	digest_hmac(slice_make(sink->request->kept_key, DIGEST_LEN), value, &digest);
	struct slice attribute = fact_attribute(key);
	fact.key = attribute.len ? probe_key(sink, "%.*skept", (int)(key.len - attribute.len), key.ptr)
				 : probe_key(sink, "%.*s/kept", SLICE_ARG(key));
	fact.evidence = true;
	add(sink, &fact);
}

void probe_evidence(struct probe_sink *sink, struct slice key, struct slice value)
{
	add(sink, &(struct fact){.key = key, .kind = FACT_TEXT, .value = bounded(value), .evidence = true});
}

void probe_skip(struct probe_sink *sink, struct slice key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	struct slice why = slice_of(arena_vprintf(&sink->arena, format, args));
	va_end(args);
	add(sink, &(struct fact){.key = key, .kind = FACT_NOT_CHECKED, .value = bounded(why)});
}
