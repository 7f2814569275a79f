/* Claims about reload specs: what is taken, and what is said about what is not. */
#include "codec/reload_spec.h"

#include "../cmocka_base.h"

#include <signal.h>

static void every_kind_is_read_with_what_it_is_about(void **state)
{
	static const struct {
		const char *text;
		enum reload_spec_kind kind;
		const char *subject;
		int signal;
	} rows[] = {
		{"none", RELOAD_NONE, "", 0},
		{"systemd:php8.3-fpm", RELOAD_SYSTEMD, "php8.3-fpm", 0},
		{"systemd:a@b\\x2d.service", RELOAD_SYSTEMD, "a@b\\x2d.service", 0},
		{"supervisor:shop:*", RELOAD_SUPERVISOR, "shop:*", 0},
		{"pidfile:tmp/w.pid", RELOAD_PIDFILE, "tmp/w.pid", SIGHUP},
		{"pidfile:/run/w.pid:USR2", RELOAD_PIDFILE, "/run/w.pid", SIGUSR2},
		{"pidfile:w.pid:SIGWINCH", RELOAD_PIDFILE, "w.pid", SIGWINCH},
		{"pidfile:a:b.pid:HUP", RELOAD_PIDFILE, "a:b.pid", SIGHUP},
		{"command:a:b 'c'; d", RELOAD_COMMAND, "a:b 'c'; d", 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reload_spec spec;
		struct slice subject;
		assert_null(reload_spec_parse(slice_of(rows[i].text), &spec));
		assert_int_equal(spec.kind, rows[i].kind);
		assert_true(slice_is(spec.subject, rows[i].subject));
		assert_int_equal(spec.signal, rows[i].signal);
		assert_true(reload_spec_is(slice_of(rows[i].text), rows[i].kind, &subject));
		assert_true(slice_is(subject, rows[i].subject));
		assert_false(
			reload_spec_is(slice_of(rows[i].text), rows[i].kind % RELOAD_COMMAND + 1, &subject));
		assert_true(slice_starts_with(slice_of(rows[i].text), reload_spec_name(rows[i].kind)));
	}
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *text, *fault;
		int kind;
	} rows[] = {
		{"", "is not a way", 0},
		{"magic:x", "is not a way", 0},
		{"None", "is not a way", 0},
		{"none:", "takes nothing", RELOAD_NONE},
		{"systemd", "name of a unit", RELOAD_SYSTEMD},
		{"systemd:", "name of a unit", RELOAD_SYSTEMD},
		{"systemd:-x", "name of a unit", RELOAD_SYSTEMD},
		{"systemd:x;y", "name of a unit", RELOAD_SYSTEMD},
		{"systemd:x'y", "name of a unit", RELOAD_SYSTEMD},
		{"systemd:x*", "name of a unit", RELOAD_SYSTEMD},
		{"supervisor:", "name of a program", RELOAD_SUPERVISOR},
		{"supervisor:x\\y", "name of a program", RELOAD_SUPERVISOR},
		{"pidfile:", "path of a pid file", RELOAD_PIDFILE},
		{"pidfile::HUP", "path of a pid file", RELOAD_PIDFILE},
		{"pidfile:w.pid:KILL", "names no signal", RELOAD_PIDFILE},
		{"pidfile:w.pid:", "names no signal", RELOAD_PIDFILE},
		{"pidfile:a:b.pid", "names no signal", RELOAD_PIDFILE},
		{"command", "shell command", RELOAD_COMMAND},
		{"command: ", "shell command", RELOAD_COMMAND},
		{"command:a\nb", "control characters", 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct reload_spec spec;
		const char *fault = reload_spec_parse(slice_of(rows[i].text), &spec);
		if (!fault || !strstr(fault, rows[i].fault))
			fail_msg("%s: %s", rows[i].text, fault ? fault : "is taken");
		assert_int_equal(spec.kind, rows[i].kind);
		assert_int_equal(spec.subject.len, 0);
	}
}

static void names_have_a_limit_and_no_nul(void **state)
{
	char text[16 + RELOAD_NAME_MAX] = "systemd:";
	struct reload_spec spec;

	(void)state;
	memset(text + 8, 'a', RELOAD_NAME_MAX + 1);
	assert_null(reload_spec_parse(slice_make(text, 8 + RELOAD_NAME_MAX), &spec));
	assert_non_null(reload_spec_parse(slice_make(text, 8 + RELOAD_NAME_MAX + 1), &spec));
	text[10] = '\0';
	assert_non_null(reload_spec_parse(slice_make(text, 12), &spec));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_read_with_what_it_is_about),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(names_have_a_limit_and_no_nul),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
