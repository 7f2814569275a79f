/* What was seen on servers and in sources, and settings. */
#include "fixture.h"

#include "model/seen_place.h"
#include "model/seen_tag.h"
#include "model/setting.h"

static void a_later_sight_replaces_an_earlier_one_only(void **state)
{
	struct fixture *f = *state;
	struct seen_place in = {
		.project = "shop",
		.environment = "staging",
		.place = "ssh://stg:22/srv",
		.label = "deploy@stg:/srv",
		.place_id = "a1b2",
		.number = 42,
		.activation = "000042-3fa9c1d20b7e",
		.release = hex64(f, "3fa9"),
		.config = hex64(f, "c0"),
		.verified = SEEN_VERIFIED,
		.deployment = "261122-k3m9x",
		.commit = "3fa9c1d2",
		.subject = "Pay: round to cents",
		.who = "ana",
		.activated_ms = 4000,
		.edits = -1,
		.seen_ms = 5000,
	};
	struct seen_place out;
	bool found;
	assert_int_equal(
		seen_place_find(f->db, &f->arena, "shop", "staging", in.place, &found, &out, &f->err), 0);
	assert_false(found);
	assert_int_equal(seen_place_put(f->db, &in, &f->err), 0);

	struct seen_place late = in;
	late.seen_ms = 4999;
	late.number = 41;
	assert_int_equal(seen_place_put(f->db, &late, &f->err), 0);
	assert_int_equal(
		seen_place_find(f->db, &f->arena, "shop", "staging", in.place, &found, &out, &f->err), 0);
	assert_true(found);
	assert_true(out.number == 42 && out.edits == -1 && out.seen_ms == 5000 && out.activated_ms == 4000);
	assert_string_equal(out.label, in.label);
	assert_string_equal(out.place_id, in.place_id);
	assert_string_equal(out.activation, in.activation);
	assert_string_equal(out.release, in.release);
	assert_string_equal(out.config, in.config);
	assert_int_equal(out.verified, SEEN_VERIFIED);
	assert_string_equal(out.deployment, in.deployment);
	assert_string_equal(out.commit, in.commit);
	assert_string_equal(out.subject, in.subject);
	assert_string_equal(out.who, in.who);

	late.seen_ms = 6000;
	late.verified = SEEN_NOT_CHECKED;
	late.edits = 2;
	assert_int_equal(seen_place_put(f->db, &late, &f->err), 0);
	assert_int_equal(
		seen_place_find(f->db, &f->arena, "shop", "staging", in.place, &found, &out, &f->err), 0);
	assert_true(out.number == 41 && out.edits == 2);
	assert_int_equal(out.verified, SEEN_NOT_CHECKED);
}

static void places_are_listed_by_environment(void **state)
{
	struct fixture *f = *state;
	static const char *const rows[][2] = {
		{"staging", "ssh://b:22/srv"}, {"dev", "ssh://z:22/srv"}, {"staging", "ssh://a:22/srv"}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct seen_place place = {.project = "shop",
					   .environment = rows[i][0],
					   .place = rows[i][1],
					   .verified = SEEN_UNVERIFIED,
					   .seen_ms = 1};
		assert_int_equal(seen_place_put(f->db, &place, &f->err), 0);
	}
	struct seen_place_list list;
	assert_int_equal(seen_place_list(f->db, &f->arena, "shop", NULL, &list, &f->err), 0);
	assert_int_equal(list.count, 3);
	assert_string_equal(list.items[0].environment, "dev");
	assert_string_equal(list.items[1].place, "ssh://a:22/srv");
	assert_null(list.items[1].activation);
	assert_int_equal(seen_place_list(f->db, &f->arena, "shop", "staging", &list, &f->err), 0);
	assert_int_equal(list.count, 2);
	assert_int_equal(seen_place_forget(f->db, "shop", "staging", "ssh://a:22/srv", &f->err), 0);
	assert_int_equal(seen_place_list(f->db, &f->arena, "shop", "staging", &list, &f->err), 0);
	assert_int_equal(list.count, 1);
}

static void a_moved_tag_is_refused(void **state)
{
	struct fixture *f = *state;
	const char *source = "git@github.com:acme/shop.git";
	assert_int_equal(seen_tag_check(f->db, source, "v1.0", "aaaaaaaaaaaaaaaa", 1000, &f->err), 0);
	assert_int_equal(seen_tag_check(f->db, source, "v1.0", "aaaaaaaaaaaaaaaa", 2000, &f->err), 0);
	assert_int_equal(seen_tag_check(f->db, "/other", "v1.0", "bbbbbbbbbbbbbbbb", 2000, &f->err), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(seen_tag_check(f->db, source, "v1.0", "bbbbbbbbbbbbbbbb", 2000, &f->err),
				 -1);
		assert_int_equal(f->err.code, ERR_CONFLICT);
		assert_non_null(strstr(f->err.text, "v1.0 was moved"));
		assert_non_null(strstr(f->err.text, "aaaaaaaaaaaa"));
		assert_non_null(strstr(f->err.text, "bbbbbbbbbbbb"));
	}
	assert_int_equal(seen_tag_accept(f->db, source, "v1.0", "bbbbbbbbbbbbbbbb", 3000, &f->err), 0);
	assert_int_equal(seen_tag_check(f->db, source, "v1.0", "bbbbbbbbbbbbbbbb", 4000, &f->err), 0);
	assert_int_equal(seen_tag_check(f->db, source, "v1.0", "aaaaaaaaaaaaaaaa", 4000, &f->err), -1);
}

static void tags_that_are_not_utf8_stay_apart(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(seen_tag_check(f->db, "/s", "v\xe9", "aaaa", 1, &f->err), 0);
	assert_int_equal(seen_tag_check(f->db, "/s", "v\xe8", "bbbb", 1, &f->err), 0);
	assert_int_equal(seen_tag_check(f->db, "/s", "v\xe9", "bbbb", 1, &f->err), -1);
}

static void settings_are_kept(void **state)
{
	struct fixture *f = *state;
	const char *value;
	assert_int_equal(setting_find(f->db, &f->arena, "color", &value, &f->err), 0);
	assert_null(value);
	assert_int_equal(setting_keep(f->db, &f->arena, "color", "never", &value, &f->err), 0);
	assert_string_equal(value, "never");
	assert_int_equal(setting_keep(f->db, &f->arena, "color", "always", &value, &f->err), 0);
	assert_string_equal(value, "never");
	assert_int_equal(setting_set(f->db, "color", "always", &f->err), 0);
	assert_int_equal(setting_find(f->db, &f->arena, "color", &value, &f->err), 0);
	assert_string_equal(value, "always");
}

static void the_controller_has_one_id(void **state)
{
	struct fixture *f = *state;
	const char *first;
	const char *second;
	assert_int_equal(setting_controller_id(f->db, &f->arena, &first, &f->err), 0);
	assert_int_equal(strlen(first), 16);
	assert_int_equal(strspn(first, "0123456789abcdef"), 16);
	db_close(&f->db);
	assert_int_equal(model_open(f->path, &f->db, &f->err), 0);
	assert_int_equal(setting_controller_id(f->db, &f->arena, &second, &f->err), 0);
	assert_string_equal(first, second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_later_sight_replaces_an_earlier_one_only),
		CASE(places_are_listed_by_environment),
		CASE(a_moved_tag_is_refused),
		CASE(tags_that_are_not_utf8_stay_apart),
		CASE(settings_are_kept),
		CASE(the_controller_has_one_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
