/* What people write for a server, and what it means. Refusals are in bad/. */
#include "support.h"

#include "project/place.h"

static const struct {
	const char *text, *key, *label;
} good[] = {
	{"h:/srv", "ssh://h:22/srv", "h:/srv"},
	{"deploy@h:/srv/a/", "ssh://h:22/srv/a", "deploy@h:/srv/a"},
	{"deploy@h:shop", "ssh://deploy@h:22/~/shop", "deploy@h:shop"},
	{"deploy@h:~/shop//x", "ssh://deploy@h:22/~/shop/x", "deploy@h:shop/x"},
	{"H.Example.ORG:/a", "ssh://h.example.org:22/a", "H.Example.ORG:/a"},
	{"h", "ssh://h:22", "h"},
	{"[::1]:/srv", "ssh://::1:22/srv", "[::1]:/srv"},
	{"u@[fe80::1%eth0]:x", "ssh://u@fe80::1%eth0:22/~/x", "u@[fe80::1%eth0]:x"},
	{"h:~/2222", "ssh://h:22/~/2222", "h:~/2222"},
	{"h:~/~x", "ssh://h:22/~/~x", "h:~/~x"},
	{"ssh://s3/x", "ssh://s3:22/x", "ssh://s3/x"},
	{"ssh://h", "ssh://h:22", "h"},
	{"ssh://h/", "ssh://h:22", "h"},
	{"ssh://u@h:2222/srv", "ssh://h:2222/srv", "ssh://u@h:2222/srv"},
	{"ssh://u@h:2222/~/srv", "ssh://u@h:2222/~/srv", "ssh://u@h:2222/~/srv"},
	{"ssh://[::1]:2222/srv", "ssh://::1:2222/srv", "ssh://[::1]:2222/srv"},
	{"local:///srv/x", "local:///srv/x", "local:///srv/x"},
	{"h:/with space/\xc3\xa9", "ssh://h:22/with space/\xc3\xa9", "h:/with space/\xc3\xa9"},
};

static void good_texts_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct place place;
		struct err err = ERR_INIT;
		if (place_parse(&arena, slice_of(good[i].text), (struct origin){0}, &place, &err))
			fail_msg("%s", err.text);
		assert_string_equal(place_key(&arena, &place), good[i].key);
		assert_string_equal(place_label(&arena, &place), good[i].label);
		assert_string_equal(place.text, good[i].text);
	}
}

static void a_label_is_read_as_the_same_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct place place;
		struct err err = ERR_INIT;
		if (place_parse(&arena, slice_of(good[i].label), (struct origin){0}, &place, &err))
			fail_msg("%s", err.text);
		assert_string_equal(place_key(&arena, &place), good[i].key);
	}
}

static void arguments_for_ssh_are_refused(void **state)
{
	static const char *const bad[] = {
		"-oProxyCommand=id", "-oProxyCommand=id:/x",
		"-u@h:/x",	     "u@-h:/x",
		"ssh://-oX=y/x",     "ssh://-u@h/x",
		"[-oX::]:/x",	     "h\n:/x",
		"h:/x\ny",	     "ssh://h\t/x",
		"u v@h:/x",	     "h$(id):/x",
		"`id`@h:/x",	     "h;id:/x",
		"ssh://h%20x/x",     "u@v@h:/x",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(arena_free) struct arena arena = ARENA_INIT;
		struct place place;
		struct err err = ERR_INIT;
		if (place_parse(&arena, slice_of(bad[i]), (struct origin){0}, &place, &err) == 0)
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(err.code, ERR_USER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_texts_are_understood),
		cmocka_unit_test(a_label_is_read_as_the_same_place),
		cmocka_unit_test(arguments_for_ssh_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
