/* Calling ssh and understanding its complaints. */
#include "target/ssh.h"

#include "base/buf.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const char *const *ssh_arguments(struct arena *arena, const char *words, const struct place_address *address,
				 const char *command)
{
	/* The command line comes before every configuration file. Nobody is there to
	 * answer a question, and nothing of ours is lent to the server. */
	static const char *const fixed[] = {
		"-T",
		"-e",
		"none",
		"-o",
		"BatchMode=yes",
		"-o",
		"StrictHostKeyChecking=yes",
		"-o",
		"ForwardAgent=no",
		"-o",
		"ForwardX11=no",
		"-o",
		"ClearAllForwardings=yes",
		"-o",
		"PermitLocalCommand=no",
		"-o",
		"RemoteCommand=none",
		"-o",
		"ConnectTimeout=15",
		"-o",
		"ServerAliveInterval=5",
		"-o",
		"ServerAliveCountMax=6",
	};
	enum { WORDS_MAX = 64 };
	const char **list = ARENA_NEW_ARRAY(arena, WORDS_MAX + ARRAY_LEN(fixed) + 10, const char *);
	size_t count = 0;
	struct slice rest = slice_of(words);
	while (rest.ptr && count < WORDS_MAX) {
		struct slice word = slice_cut(&rest, ' ');
		if (word.len)
			list[count++] = arena_str(arena, word);
	}
	if (count == 0)
		list[count++] = "ssh";
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		list[count++] = fixed[i];
	if (address->port) {
		list[count++] = "-p";
		list[count++] = arena_printf(arena, "%u", address->port);
	}
	if (address->user && *address->user) {
		list[count++] = "-l";
		list[count++] = address->user;
	}
	list[count++] = "--";
	list[count++] = address->host;
	list[count++] = command;
	return list;
}

/* "host" or "[host]:port". The words around it may come from a server's banner, and what
 * is in between becomes part of a command that people copy. */
static bool is_host(struct slice text)
{
	bool bracketed = slice_starts_with(text, "[");
	ptrdiff_t close = bracketed ? slice_find(text, ']') : -1;
	struct slice host = bracketed ? slice_make(text.ptr + 1, close > 0 ? (size_t)close - 1 : 0) : text;
	struct slice port = bracketed && close > 0 ? slice_skip(text, (size_t)close + 1) : slice_make("", 0);
	uint64_t number;

	if (host.len == 0 || host.len > 255 || host.ptr[0] == '-')
		return false;
	for (size_t i = 0; i < host.len; i++)
		if (!isalnum((unsigned char)host.ptr[i]) && !strchr("._:%-", host.ptr[i]))
			return false;
	return !bracketed ||
	       (slice_starts_with(port, ":") && slice_to_u64(slice_skip(port, 1), &number) && number <= 65535);
}

/* Whose key is missing, in ssh's words: its configuration may make another host of the name,
 * or put one before it. */
static struct slice host_of_key(const char *errors)
{
	static const char *const around[][2] = {
		{"host key is known for ", " and you have requested"},
		{"Host key for ", " has changed"},
	};

	for (size_t i = 0; i < ARRAY_LEN(around); i++) {
		const char *begin = strstr(errors, around[i][0]);
		begin = begin ? begin + strlen(around[i][0]) : NULL;
		const char *end = begin ? strstr(begin, around[i][1]) : NULL;
		struct slice host = slice_make(begin, end ? (size_t)(end - begin) : 0);
		if (is_host(host))
			return host;
	}
	return slice_make(NULL, 0);
}

/* What is_host let through, as ssh-keyscan takes it. */
static void put_for_keyscan(struct buf *out, struct slice host)
{
	ptrdiff_t close = slice_find(host, ']');

	if (close > 0)
		buf_printf(out, "-p %.*s %.*s", SLICE_ARG(slice_skip(host, (size_t)close + 2)),
			   SLICE_ARG(slice_make(host.ptr + 1, (size_t)close - 1)));
	else
		buf_put_slice(out, host);
}

/* %H the host, %N the host as known_hosts names it, %K as ssh-keyscan takes it, %P "-p PORT " or nothing,
 * %U "USER@" or nothing. `named`: the host as ssh's complaint about its key names it; may be empty. */
static void template_put(struct buf *out, const char *text, const struct place_address *address,
			 struct slice named)
{
	for (; *text; text++) {
		if (*text != '%') {
			buf_putc(out, *text);
			continue;
		}
		switch (*++text) {
		case 'H':
			buf_puts(out, address->host);
			break;
		case 'K':
			if (named.len)
				put_for_keyscan(out, named);
			else if (address->port && address->port != 22)
				buf_printf(out, "-p %u %s", address->port, address->host);
			else
				buf_puts(out, address->host);
			break;
		case 'N':
			if (named.len)
				buf_printf(out, "'%.*s'", SLICE_ARG(named));
			else if (address->port && address->port != 22)
				buf_printf(out, "'[%s]:%u'", address->host, address->port);
			else
				buf_puts(out, address->host);
			break;
		case 'P':
			if (address->port && address->port != 22)
				buf_printf(out, "-p %u ", address->port);
			break;
		case 'U':
			if (address->user && *address->user)
				buf_printf(out, "%s@", address->user);
			break;
		default:
			buf_putc(out, *text);
		}
	}
}

static const struct complaint {
	const char *needle; /* in ssh's words; the first row that is found counts */
	enum err_code code;
	const char *text;
	const char *hint;
	const char *also; /* the line that has this is quoted instead of the needle's */
} complaints[] = {
	{"REMOTE HOST IDENTIFICATION HAS CHANGED", ERR_DENIED,
	 "%H shows another host key than the one known here",
	 "somebody may be listening in. If the server was really set up anew, compare the fingerprint with "
	 "the "
	 "one it prints itself (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then: ssh-keygen -R %N && "
	 "ssh-keyscan %K >> ~/.ssh/known_hosts",
	 "SHA256:"},
	{"REVOKED HOST KEY", ERR_DENIED, "the host key of %H is revoked",
	 "ask who revoked it; do not connect", "SHA256:"},
	{"host key is known for", ERR_DENIED, "the host key of %H is not known here",
	 "print its fingerprint on the server (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then: "
	 "ssh-keyscan %K >> ~/.ssh/known_hosts && ssh-keygen -lF %N, and compare",
	 NULL},
	{"Host key verification failed", ERR_DENIED, "the host key of %H was not accepted",
	 "connect once by hand and look: ssh %P%U%H", NULL},
	{"no matching host key type", ERR_DENIED, "%H and this machine agree on no kind of host key",
	 "see HostKeyAlgorithms in ssh_config(5)", NULL},
	{"Unable to negotiate", ERR_DENIED, "%H and this machine agree on no cipher",
	 "see Ciphers and "
	 "KexAlgorithms in ssh_config(5)",
	 NULL},
	{"UNPROTECTED PRIVATE KEY FILE", ERR_DENIED,
	 "a private key can be read by others, so ssh does not use it", "chmod 600 the file it names",
	 "Permissions "},
	{"Bad owner or permissions", ERR_DENIED, "ssh does not trust its own configuration",
	 "give the file it names to yourself: chmod 600", NULL},
	{"Bad configuration option", ERR_USER, "ssh does not understand its configuration", NULL, NULL},
	{"Too many authentication failures", ERR_DENIED, "%H refused: too many keys were offered",
	 "set IdentitiesOnly and IdentityFile for this host in ~/.ssh/config", NULL},
	{"Permission denied (", ERR_DENIED, "%H accepts none of your keys",
	 "is the key loaded (ssh-add -l), and in ~/.ssh/authorized_keys of that user there? Try: ssh %P%U%H",
	 NULL},
	{"password has expired", ERR_DENIED, "the password of that user on %H has expired",
	 "change it on the server", NULL},
	{"account is currently not available", ERR_DENIED, "the user may not log in on %H",
	 "give the deploy user a shell: usermod -s /bin/sh", NULL},
	{"Could not resolve hostname", ERR_NETWORK, "there is no host called %H",
	 "is the name right, and the network up?", NULL},
	{"Connection refused", ERR_NETWORK, "nothing listens for ssh on %H",
	 "is sshd running, and the port right?", NULL},
	{"Connection timed out", ERR_NETWORK, "%H does not answer",
	 "is it up, and does a firewall let ssh through?", NULL},
	{"timed out", ERR_NETWORK, "%H does not answer", "is it up, and does a firewall let ssh through?",
	 NULL},
	{"No route to host", ERR_NETWORK, "%H cannot be reached", "is it up, and the network right?", NULL},
	{"Network is unreachable", ERR_NETWORK, "%H cannot be reached", "is this machine's network up?",
	 NULL},
	{"kex_exchange_identification", ERR_NETWORK, "%H hung up before it said who it is",
	 "sshd may refuse so many connections at once (MaxStartups), or block this address", NULL},
	{"not responding", ERR_NETWORK, "the line to %H went silent", NULL, NULL},
	{"Broken pipe", ERR_NETWORK, "the line to %H was lost", NULL, NULL},
	{"Connection reset", ERR_NETWORK, "%H cut the line", NULL, NULL},
	{"Connection closed", ERR_NETWORK, "%H closed the line", NULL, NULL},
};

/* The line of `text` that holds `needle`. */
static struct slice line_with(const char *text, const char *needle)
{
	struct slice rest = slice_of(text);
	while (rest.ptr) {
		struct slice line = slice_cut(&rest, '\n');
		if (line.len && memmem(line.ptr, line.len, needle, strlen(needle)))
			return slice_trim(line);
	}
	return slice_make("", 0);
}

static struct slice last_line(struct slice text)
{
	struct slice rest = slice_trim(text), line = {"", 0};
	while (rest.ptr)
		line = slice_cut(&rest, '\n');
	return slice_trim(line);
}

static int complain(const struct place_address *address, const struct complaint *row, const char *errors,
		    struct err *err)
{
	AUTO(buf_free) struct buf text = BUF_INIT(ERR_TEXT_MAX);
	AUTO(buf_free) struct buf hint = BUF_INIT(ERR_HINT_MAX);
	template_put(&text, row->text, address, slice_make(NULL, 0));
	struct slice quoted = line_with(errors, row->also ? row->also : row->needle);
	if (quoted.len == 0)
		quoted = line_with(errors, row->needle);
	if (quoted.len) {
		buf_puts(&text, " (ssh says: ");
		buf_put_printable(&text, slice_make(quoted.ptr, MIN(quoted.len, (size_t)300)));
		buf_puts(&text, ")");
	}
	err_set(err, row->code, "%s", buf_str(&text));
	if (row->hint) {
		template_put(&hint, row->hint, address, host_of_key(errors));
		err_hint(err, "%s", buf_str(&hint));
	}
	return -1;
}

int ssh_explain(const struct place_address *address, int status, const char *errors, struct slice noise,
		struct err *err)
{
	AUTO(buf_free) struct buf quoted = BUF_INIT(1024);
	char *noise_text = NULL;
	AUTO(arena_free) struct arena arena = ARENA_INIT;
	noise_text = arena_str(&arena, noise);
	for (size_t i = 0; i < ARRAY_LEN(complaints); i++) {
		if (strstr(errors, complaints[i].needle))
			return complain(address, &complaints[i], errors, err);
		if (strstr(noise_text, complaints[i].needle))
			return complain(address, &complaints[i], noise_text, err);
	}
	struct slice said = last_line(slice_of(errors));
	if (said.len == 0)
		said = last_line(noise);
	buf_put_printable(&quoted, slice_make(said.ptr, MIN(said.len, (size_t)200)));
	if (status == 255)
		return err_set(err, ERR_NETWORK, "ssh could not connect to %s%s%s", address->host,
			       said.len ? ": " : "", buf_str(&quoted));
	/* Of ssh itself or of the shell there: a shell says both like this. */
	if (status > 128 && status < 128 + 32)
		return err_set(err, ERR_NETWORK, "the line to %s was cut: ssh was ended by signal %d%s%s",
			       address->host, status - 128, said.len ? ": " : "", buf_str(&quoted));
	err_set(err, ERR_DENIED, "the login on %s did not run our command (status %d)%s%s", address->host,
		status, said.len ? ": " : "", buf_str(&quoted));
	return err_hint(
		err,
		"the deploy user needs a shell there and no forced command; try: ssh %s%s%s /bin/sh -c true",
		address->user ? address->user : "", address->user ? "@" : "", address->host);
}
