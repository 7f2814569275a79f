/* Values are taken out of a stream wherever it is cut, in all their encodings, and
 * nothing else is; also when there are ten thousand. */
#include "../cmocka_base.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/random.h"
#include "seal/mask.h"

#include <stdio.h>
#include <stdlib.h>

static int collect(void *context, struct slice bytes, struct err *err)
{
	(void)err;
	buf_put_slice(context, bytes);
	return 0;
}

/* The text in pieces of `size` bytes. */
static void run(struct mask *mask, struct slice text, size_t size, struct buf *out)
{
	AUTO(mask_stream_free) struct mask_stream stream = {.mask = mask, .sink = collect, .context = out};
	struct err err = ERR_INIT;

	while (text.len) {
		size_t len = MIN(size, text.len);
		assert_int_equal(mask_stream_put(&stream, slice_make(text.ptr, len), &err), 0);
		text = slice_skip(text, len);
	}
	assert_int_equal(mask_stream_flush(&stream, &err), 0);
}

static void masks_at_every_cut(void **state)
{
	static const struct {
		const char *secrets[4], *text, *masked;
	} rows[] = {
		{{"s3cret-value"}, "a s3cret-value b\n", "a *** b\n"},
		{{"s3cret-value"}, "s3cret-valu s3cret-values", "s3cret-valu ***s"},
		{{"aaaa"}, "aaaaaaaaa", "******a"},
		{{"abcd", "abcdefgh"}, "abcdefgh abcdef", "*** ***ef"},
		{{"xxabcdyy", "abcd"}, "xxabcdzz xxabcdyy", "xx***zz ***"},
		{{"abcd", "abcdef", "abcdefgh", "abcdxx"}, "abcdefg abcdxx abcdx", "***g *** ***x"},
		/* base64 of the value, of "user:" and of "x:" before it; percent; one line of many */
		{{"s3cret-value"}, "czNjcmV0LXZhbHVl", "***"},
		{{"s3cret-value"}, "Basic dXNlcjpzM2NyZXQtdmFsdWU=", "Basic dXNlcjp***U="},
		{{"s3cret-value"}, "x:=eDpzM2NyZXQtdmFsdWU=", "x:=eDp***U="},
		{{"pa??ss>>word"}, "cGE/P3NzPj53b3Jk cGE_P3NzPj53b3Jk", "*** ***"},
		{{"pa ss/word"}, "?t=pa%20ss%2Fword&", "?t=***&"},
		{{"pa ss/word"}, "pa%20ss%2fword pa+ss%2Fword pa%20ss/word pa%20ss%2Fword", "*** *** *** ***"},
		{{"it's (x)!"}, "it's%20(x)! it%27s%20%28x%29%21", "*** ***"},
		{{"first line\nsecond line\n"}, "1 first line\n2 second line", "1 ***\n2 ***"},
		/* hexadecimal, JSON: as it must be, as PHP, Python and Go write it */
		{{"s3cret"}, "733363726574 733363726574", "*** ***"},
		{{"jklmno"}, "6a6b6c6d6e6f 6A6B6C6D6E6F", "*** ***"},
		{{"a\"b\\c\nd"}, "{\"k\":\"a\\\"b\\\\c\\nd\"}", "{\"k\":\"***\"}"},
		{{"a/b/c"}, "a/b/c a\\/b\\/c", "*** ***"},
		{{"p\xc3\xa4ss\xf0\x9f\x98\x80"}, "p\\u00e4ss\\ud83d\\ude00 p\xc3\xa4ss\xf0\x9f\x98\x80", "*** ***"},
		{{"a<b>c&d"}, "a\\u003cb\\u003ec\\u0026d a<b>c&d", "*** ***"},
		{{"a/<\xc3\xa4>"}, "a\\/\\u003c\\u00e4\\u003e", "***"},
		/* HTML, and `set -x` of bash and dash */
		{{"a&b<c>'d'"}, "a&amp;b&lt;c&gt;&#039;d&#039; a&amp;b&lt;c&gt;&#x27;d&#x27; a&amp;b&lt;c&gt;'d'", "*** *** ***"},
		{{"it's x"}, "+ echo 'it'\\''s x' 'it'\"'\"'s x'", "+ echo '***' '***'"},
		/* lines of base64 -w 76 and openssl enc -base64 */
		{{"the quick brown fox jumps over the lazy dog, and again: the quick brown fox"},
		 "dGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZywgYW5kIGFnYWluOiB0\n"
		 "aGUgcXVpY2sgYnJvd24gZm94\n"
		 "dGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZywgYW5k\n"
		 "IGFnYWluOiB0aGUgcXVpY2sgYnJvd24gZm94",
		 "***\n***\n***\n***"},
		/* not worth it */
		{{"abc"}, "abc", "abc"},
		{{"true", "FALSE", "8080", "-1.5"}, "true FALSE 8080 -1.5", "true FALSE 8080 -1.5"},
		{{"12345678", "86400000"}, "12345678 86400000", "12345678 86400000"},
		{{"1234567890"}, "1234567890", "***"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(mask_close) struct mask *mask = mask_open();
		for (size_t s = 0; s < 4 && rows[i].secrets[s]; s++)
			mask_add(mask, slice_of(rows[i].secrets[s]));
		for (size_t size = 1; size <= strlen(rows[i].text); size++) {
			AUTO(buf_free) struct buf out = BUF_INIT(10000);
			run(mask, slice_of(rows[i].text), size, &out);
			if (strcmp(buf_str(&out), rows[i].masked) != 0)
				fail_msg("row %zu in pieces of %zu: `%s`, not `%s`", i, size, buf_str(&out),
					 rows[i].masked);
		}
		AUTO(buf_free) struct buf out = BUF_INIT(10000);
		mask_text(mask, slice_of(rows[i].text), &out);
		assert_string_equal(buf_str(&out), rows[i].masked);
	}
}

static void holds_back_no_more_than_needed(void **state)
{
	AUTO(buf_free) struct buf out = BUF_INIT(10000);
	AUTO(mask_close) struct mask *mask = mask_open();
	AUTO(mask_stream_free) struct mask_stream stream = {.mask = mask, .sink = collect, .context = &out};
	struct err err = ERR_INIT;

	(void)state;
	mask_add(mask, SLICE("s3cret-value"));
	assert_int_equal(mask_stream_put(&stream, slice_of("50 % of s3"), &err), 0);
	assert_string_equal(buf_str(&out), "50 % of ");
	assert_int_equal(mask_stream_put(&stream, slice_of("?"), &err), 0);
	assert_string_equal(buf_str(&out), "50 % of s3?");
}

static void errors_are_masked(void **state)
{
	AUTO(mask_close) struct mask *mask = mask_open();
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_FAILED, "the hook said %%s hunter22");
	err_hint(&err, "do not say hunter22");
	mask_err(NULL, &err);
	mask_add(mask, SLICE("hunter22"));
	mask_err(mask, &err);
	assert_string_equal(err.text, "the hook said %s ***");
	assert_string_equal(err.hint, "do not say ***");
	assert_int_equal(err.code, ERR_FAILED);
}

/* Leftmost, then longest; what the quick one must say too. */
static void mask_naively(struct mask *mask, struct slice text, struct buf *out)
{
	while (text.len) {
		size_t longest = 0;
		for (size_t i = 0; i < mask_form_count(mask); i++) {
			struct slice form = mask_form(mask, i);
			if (form.len > longest && form.len <= text.len && memcmp(text.ptr, form.ptr, form.len) == 0)
				longest = form.len;
		}
		if (longest)
			buf_puts(out, MASK_TEXT);
		else
			buf_putc(out, *text.ptr);
		text = slice_skip(text, MAX(longest, (size_t)1));
	}
}

static void agrees_with_the_naive_way(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		AUTO(mask_close) struct mask *mask = mask_open();
		AUTO(buf_free) struct buf text = BUF_INIT(10000), naive = BUF_INIT(40000), quick = BUF_INIT(40000);
		for (int i = rand_r(&seed) % 6; i >= 0; i--) {
			char value[12];
			size_t len = 4 + (size_t)rand_r(&seed) % 8;
			for (size_t at = 0; at < len; at++)
				value[at] = "ab/"[rand_r(&seed) % 3];
			mask_add(mask, slice_make(value, len));
		}
		for (int i = 0; i < 60; i++) {
			struct slice form = mask_form(mask, (size_t)rand_r(&seed) % mask_form_count(mask));
			if (rand_r(&seed) % 2)
				buf_put(&text, form.ptr, (size_t)rand_r(&seed) % (form.len + 1));
			buf_putc(&text, "ab/%2"[rand_r(&seed) % 5]);
		}
		mask_naively(mask, buf_slice(&text), &naive);
		run(mask, buf_slice(&text), (size_t)rand_r(&seed) % 20 + 1, &quick);
		assert_string_equal(buf_str(&quick), buf_str(&naive));
	}
}

static void is_quick_with_ten_thousand(void **state)
{
	enum { COUNT = 10000, BYTES = 8 << 20 };
	AUTO(mask_close) struct mask *mask = mask_open();
	AUTO(buf_free) struct buf text = BUF_INIT(BYTES + 1000), out = BUF_INIT(BYTES + 1000);
	char value[65], planted[65] = "";

	(void)state;
	int64_t start = clock_mono_us();
	for (int i = 0; i < COUNT; i++) {
		unsigned char random[20];
		random_bytes(random, sizeof(random));
		/* The same beginning for half of them, as keys have it. */
		snprintf(value, sizeof(value), "%s", i % 2 ? "sk_live_" : "");
		hex_encode(random, sizeof(random), value + strlen(value));
		mask_add(mask, slice_of(value));
		if (i == COUNT / 2 + 1)
			memcpy(planted, value, sizeof(planted));
	}
	size_t forms = mask_form_count(mask);
	int64_t built = clock_mono_us();
	while (text.len < BYTES)
		buf_printf(&text, "2026-11-23 03:21:26 GET /orders/%zu 200 sk_live_no_such_key in %zu ms\n", text.len,
			   text.len % 977);
	buf_puts(&text, planted);
	mask_text(mask, buf_slice(&text), &out);
	int64_t done = clock_mono_us();
	assert_true(slice_ends_with(buf_slice(&out), "ms\n***"));
	print_message("# %d values, %zu forms: built in %lld ms, %d MiB of log masked in %lld ms\n", COUNT, forms,
		      (long long)(built - start) / 1000, BYTES >> 20, (long long)(done - built) / 1000);
#ifndef __SANITIZE_ADDRESS__
	assert_true(done - start < 5 * 1000 * 1000);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masks_at_every_cut),
		cmocka_unit_test(holds_back_no_more_than_needed),
		cmocka_unit_test(errors_are_masked),
		cmocka_unit_test(agrees_with_the_naive_way),
		cmocka_unit_test(is_quick_with_ten_thousand),
	};
	return cmocka_run_group_tests_name("mask", tests, NULL, NULL);
}
