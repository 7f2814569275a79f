/* What the probes env, net, unit and container make of text found on a server. */
#include "probe/parse.h"

#define S(literal) SLICE(literal)

static void all_variables(struct slice text, struct buf *out)
{
	struct parse_env parser;
	struct parsed_variable variable;
	int result;

	parse_env_begin(&parser, text);
	while ((result = parse_env_next(&parser, &variable)) != 0)
		if (result < 0)
			buf_printf(out, "!%zu ", parser.line);
		else
			buf_printf(out, "%.*s=[%.*s]%s ", SLICE_ARG(variable.name), SLICE_ARG(variable.value),
				   variable.refers ? "$" : "");
	buf_free(&parser.value);
}

static void variables_are_read_as_dotenv_libraries_do(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"", ""},
		{"A=1", "A=[1] "},
		{"\xef\xbb\xbf"
		 "A=1\r\nB=2\r\n",
		 "A=[1] B=[2] "},
		{"# c\n\n  export A = x y  # c\n", "A=[x y] "},
		{"A=a#b\nB=#b\nC=", "A=[a#b] B=[] C=[] "},
		{"A='a # \\n $b'\n", "A=[a # \\n $b] "},
		{"A=\"a\\n\\\"b\\\"\" # c\nB=`x`", "A=[a\n\"b\"] B=[x] "},
		{"KEY=\"-----\nline\n-----\"\nB=2", "KEY=[-----\nline\n-----] B=[2] "},
		{"A=${B}/x\nC=\"$D\"\nE='$F'", "A=[${B}/x]$ C=[$D]$ E=[$F] "},
		{"nonsense\nA=1\n1X=2\n=3\nB=2", "!1 A=[1] !3 !4 B=[2] "},
		{"A=\"open\nB=2\n", "!1 B=[2] "},
		{"A='x' y\nB=2", "!1 B=[2] "},
		{"export=1\nexport export=2", "export=[1] export=[2] "},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_free) struct buf out = BUF_INIT(KIB(4));
		all_variables(slice_of(cases[i].text), &out);
		assert_string_equal(buf_str(&out), cases[i].expected);
	}
}

static void a_line_behind_a_value_of_several_lines_has_its_number(void **state)
{
	struct parse_env parser;
	struct parsed_variable variable;

	(void)state;
	parse_env_begin(&parser, S("A='1\n2\n3'\nwrong\n"));
	assert_int_equal(parse_env_next(&parser, &variable), 1);
	assert_int_equal(parser.line, 1);
	assert_int_equal(parse_env_next(&parser, &variable), -1);
	assert_int_equal(parser.line, 4);
	buf_free(&parser.value);
}

static void only_sockets_that_wait_are_told(void **state)
{
	static const struct {
		const char *line;
		bool udp;
		unsigned port;
		enum parsed_scope scope;
	} cases[] = {
		{"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
		 "inode",
		 false, 0, 0},
		{"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 "
		 "5123 1 0 100",
		 false, 8080, SCOPE_LOOPBACK},
		{"   0: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 "
		 "5123 1 0 100",
		 false, 53, SCOPE_LOOPBACK},
		{"   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
		 "77 1",
		 false, 80, SCOPE_ANY},
		{"   2: 0200A8C0:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
		 "78 1",
		 false, 22, SCOPE_HOST},
		{"   3: 0200A8C0:0016 0300A8C0:D431 01 00000000:00000000 00:00000000 00000000     0        0 "
		 "78 1",
		 false, 0, 0},
		{"   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A "
		 "00000000:00000000 00:00000000 00000000 0 0 9 1",
		 false, 443, SCOPE_ANY},
		{"   0: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A "
		 "00000000:00000000 00:00000000 00000000 0 0 9 1",
		 false, 631, SCOPE_LOOPBACK},
		{"   0: 0000000000000000FFFF00000100007F:0277 00000000000000000000000000000000:0000 0A "
		 "00000000:00000000 00:00000000 00000000 0 0 9 1",
		 false, 631, SCOPE_LOOPBACK},
		{" 4: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 "
		 "78 2",
		 true, 68, SCOPE_ANY},
		{" 4: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 "
		 "78 2",
		 false, 0, 0},
		{" 4: 000000:0044 00000000:0000 07", true, 0, 0},
	};
	struct parsed_socket socket;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(parse_socket(slice_of(cases[i].line), cases[i].udp, &socket),
				 cases[i].port != 0);
		if (cases[i].port) {
			assert_int_equal(socket.port, cases[i].port);
			assert_int_equal(socket.scope, cases[i].scope);
		}
	}
}

static void connections_stand_behind_what_listens(void **state)
{
	static const struct {
		const char *line;
		bool is_connection;
	} cases[] = {
		{"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt", false},
		{"   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000", false},
		{"   1: 0100007F:0016 0200007F:A000 03 00000000:00000000 00:00000000", false},
		{"   2: 0100007F:0016 0200007F:A000 01 00000000:00000000 00:00000000", true},
		{"   3: 0100007F:0016 0200007F:A000 06 00000000:00000000 00:00000000", true},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(parse_is_connection(slice_of(cases[i].line)), cases[i].is_connection);
}

static void routes_say_where_packets_go(void **state)
{
	struct parsed_route route;

	(void)state;
	assert_false(
		parse_route(S("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU"), &route));
	assert_true(parse_route(S("eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0"), &route));
	assert_true(route.is_default);
	assert_string_equal(route.gateway, "192.168.0.1");
	assert_true(parse_route(S("eth0\t0000080A\t0100A8C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0"), &route));
	assert_false(route.is_default);
	assert_true(route.via_gateway);
	assert_string_equal(route.destination, "10.8.0.0/16");
	assert_true(parse_route(S("docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0"), &route));
	assert_false(route.via_gateway);
	assert_true(slice_is(route.interface, "docker0"));
	assert_true(parse_route6(
		S("00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
		  "fe800000000000000000000000000001 00000400 00000000 00000000 00000003     eth0"),
		&route));
	assert_true(route.is_default);
	assert_true(route.via_gateway);
	assert_false(parse_route6(
		S("00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
		  "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo"),
		&route));
	assert_true(parse_route6(
		S("20010db8000000000000000000000000 20 00000000000000000000000000000000 00 "
		  "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0"),
		&route));
	assert_string_equal(route.destination, "2001:db8:0:0:0:0:0:0/32");
	assert_false(route.via_gateway);
}

static void comments_of_resolv_conf_do_not_count(void **state)
{
	struct slice rest;

	(void)state;
	assert_true(slice_is(parse_keyword(S("  nameserver 9.9.9.9 # quad"), &rest), "nameserver"));
	assert_true(slice_is(rest, "9.9.9.9"));
	assert_int_equal(parse_keyword(S("; search x"), &rest).len, 0);
	assert_true(slice_is(parse_keyword(S("search\ta.example  b.example"), &rest), "search"));
	assert_true(slice_is(rest, "a.example  b.example"));
}

static void nft_rules_come_without_counters(void **state)
{
	AUTO(parse_firewall_free)
	struct parse_firewall parser = {
		.rest = S("table inet filter {\n"
			  "\tset allowed {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1,\n\t\t\t     "
			  "10.0.0.2 }\n\t}\n\n"
			  "\tchain input { # handle 1\n"
			  "\t}\n"
			  "\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n"
			  "\t\ttcp dport 22 counter packets 12 bytes 720 accept # handle 4\n\t}\n}\n"
			  "table ip nat {\n\tchain post {\n\t\tmasquerade\n\t}\n}\n")};

	(void)state;
	assert_true(parse_nft_next(&parser));
	assert_string_equal(buf_str(&parser.name), "inet filter set allowed");
	assert_string_equal(buf_str(&parser.rules), "type ipv4_addr; elements = { 10.0.0.1,; 10.0.0.2 }");
	assert_true(parse_nft_next(&parser));
	assert_string_equal(buf_str(&parser.name), "inet filter input");
	assert_string_equal(
		buf_str(&parser.rules),
		"type filter hook input priority filter; policy drop;; tcp dport 22 counter accept");
	assert_true(parse_nft_next(&parser));
	assert_string_equal(buf_str(&parser.name), "ip nat post");
	assert_false(parse_nft_next(&parser));
}

static void note_rule(void *context, struct slice table, struct slice chain, struct slice rule)
{
	buf_printf(context, "%.*s %.*s: %.*s\n", SLICE_ARG(table), SLICE_ARG(chain), SLICE_ARG(rule));
}

static void iptables_rules_stay_with_their_chain(void **state)
{
	AUTO(buf_free) struct buf out = BUF_INIT(KIB(4));

	(void)state;
	parse_iptables(
		S("# Generated by iptables-save v1.8.9 on Mon\n*filter\n:INPUT DROP [123:456]\n:F2B - [0:0]\n"
		  "-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n# Completed\n"),
		note_rule, &out);
	assert_string_equal(buf_str(&out),
			    "filter INPUT: DROP\nfilter F2B: -\nfilter INPUT: -p tcp --dport 22 -j ACCEPT\n");
}

static void units_come_in_blocks(void **state)
{
	struct slice text =
		S("Type=notify\nMainPID=812\nExecStart={ path=/usr/sbin/php-fpm8.3 ; "
		  "argv[]=/usr/sbin/php-fpm8.3 "
		  "--nodaemonize ; ignore_errors=no }\nId=php8.3-fpm.service\nActiveState=active\n\n\n"
		  "MainPID=0\nId=shop.timer\nActiveState=inactive\n");
	struct parsed_unit unit;

	(void)state;
	assert_true(parse_unit_next(&text, &unit));
	assert_true(slice_is(unit.id, "php8.3-fpm.service"));
	assert_true(slice_is(unit.active, "active"));
	assert_true(slice_is(unit.exec, "/usr/sbin/php-fpm8.3"));
	assert_int_equal(unit.main_pid, 812);
	assert_true(parse_unit_next(&text, &unit));
	assert_true(slice_is(unit.id, "shop.timer"));
	assert_int_equal(unit.main_pid, 0);
	assert_false(parse_unit_next(&text, &unit));
}

static void lines_of_cron_are_times_and_commands(void **state)
{
	struct parsed_cron cron;

	(void)state;
	assert_true(
		parse_cron(S("*/5 *\t* * *  deploy  cd /srv && php artisan schedule:run\n"), true, &cron));
	assert_true(slice_is(cron.schedule, "*/5 *\t* * *"));
	assert_true(slice_is(cron.user, "deploy"));
	assert_true(slice_is(cron.command, "cd /srv && php artisan schedule:run"));
	assert_true(parse_cron(S("@reboot /usr/bin/x"), false, &cron));
	assert_true(slice_is(cron.schedule, "@reboot"));
	assert_true(slice_is(cron.command, "/usr/bin/x"));
	assert_true(parse_cron(S("MAILTO = ops@example.com"), false, &cron));
	assert_true(slice_is(cron.name, "MAILTO"));
	assert_true(slice_is(cron.value, "ops@example.com"));
	assert_false(parse_cron(S("# 0 4 * * * x"), false, &cron));
	assert_false(parse_cron(S("0 4 * *"), false, &cron));
	assert_false(parse_cron(S("   "), false, &cron));
}

static void nothing_secret_of_a_command_is_shown(void **state)
{
	static const struct {
		const char *command, *expected;
	} cases[] = {
		{"php artisan  schedule:run", "php artisan schedule:run"},
		{"TOKEN=s3cret curl -u me:s3cret https://x/?k=s3cret",
		 "TOKEN=... curl -u ... https://x/?k=..."},
		{"mysqldump -ps3cret shop", "mysqldump -p... shop"},
		{"mysqldump -p s3cret shop", "mysqldump -p ... shop"},
		{"wget https://me:s3cret@x/y", "wget @x/y..."},
		{"wget https://me:s3cret@x/y?a=s3cret", "wget @x/y?a=..."},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_free) struct buf out = BUF_INIT(KIB(1));
		parse_cron_redact(slice_of(cases[i].command), &out);
		assert_null(strstr(buf_str(&out), "s3cret"));
		assert_string_equal(buf_str(&out), cases[i].expected);
	}
}

static void images_of_compose_files_are_found(void **state)
{
	struct parse_compose parser;
	struct slice service, image;

	(void)state;
	parse_compose_begin(
		&parser,
		S("# shop\nversion: '3'\nx-common: &c\n  image: not/this\nservices:\n  web:\n    build: .\n"
		  "    image: \"acme/shop:1.2\"  # ours\n    environment:\n      image: nor-this\n\n  db:\n"
		  "    image: postgres@sha256:0a1b\n  cache: {image: redis}\n  q:\n    image: 'rabbit'\n"
		  "volumes:\n  data:\n    image: no\n"));
	assert_true(parse_compose_next(&parser, &service, &image));
	assert_true(slice_is(service, "web") && slice_is(image, "acme/shop:1.2"));
	assert_true(parse_compose_next(&parser, &service, &image));
	assert_true(slice_is(service, "db") && slice_is(image, "postgres@sha256:0a1b"));
	assert_true(parse_compose_next(&parser, &service, &image));
	assert_true(slice_is(service, "q") && slice_is(image, "rabbit"));
	assert_false(parse_compose_next(&parser, &service, &image));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables_are_read_as_dotenv_libraries_do),
		cmocka_unit_test(a_line_behind_a_value_of_several_lines_has_its_number),
		cmocka_unit_test(only_sockets_that_wait_are_told),
		cmocka_unit_test(connections_stand_behind_what_listens),
		cmocka_unit_test(routes_say_where_packets_go),
		cmocka_unit_test(comments_of_resolv_conf_do_not_count),
		cmocka_unit_test(nft_rules_come_without_counters),
		cmocka_unit_test(iptables_rules_stay_with_their_chain),
		cmocka_unit_test(units_come_in_blocks),
		cmocka_unit_test(lines_of_cron_are_times_and_commands),
		cmocka_unit_test(nothing_secret_of_a_command_is_shown),
		cmocka_unit_test(images_of_compose_files_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
