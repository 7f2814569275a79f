/* The network as this server sees it: who listens, where packets go, how names resolve,
 * and, where root allows it through the helper, the rules of the firewall. */
#include "probe/helper.h"
#include "probe/internal.h"
#include "probe/kinds.h"
#include "probe/netfilter.h"
#include "probe/parse.h"

#include "base/fd.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	NET_TABLE_MAX = 8 << 20,
	NET_PORTS_MAX = 2048,
	NET_FDS_MAX = 50000, /* links of /proc looked at for owners of sockets */
	NET_WORDS_MAX = 64,
	NET_CHAINS_MAX = 1000,
	NET_RULES_TEXT_MAX = 4000,
};

struct port {
	bool is_udp, loopback, any, host;
	unsigned number;
	uint64_t uid, inode;
	const char *process;
};

struct net {
	struct probe_sink *sink;
	struct names names;
	struct port ports[NET_PORTS_MAX];
	size_t port_count;
	unsigned ephemeral; /* ports from here on are the kernel's to give */
	unsigned ephemeral_end;
	bool closed; /* what some process has open may not be read */
};

/* ---- ports ---- */

static struct port *port_of(struct net *net, bool is_udp, unsigned number)
{
	for (size_t i = 0; i < net->port_count; i++)
		if (net->ports[i].number == number && net->ports[i].is_udp == is_udp)
			return &net->ports[i];
	if (net->port_count == NET_PORTS_MAX)
		return NULL;
	net->ports[net->port_count] = (struct port){.is_udp = is_udp, .number = number};
	return &net->ports[net->port_count++];
}

/* Connections stand behind what listens, and looking for them takes the kernel long: each
 * read asks for little more than a line, and none is asked for behind the first connection. Nor
 * behind a read that fell short: to say that this was the end the kernel would look once more
 * through all connections there are (its seq_read fills what it can). */
static struct slice listening(struct probe_sink *sink, const char *path, bool is_udp)
{
	enum { PIECE = 256 }; /* tcp4_seq_show pads a line to 150 */
	AUTO(buf_free) struct buf text = BUF_INIT(NET_TABLE_MAX);
	AUTO(close_fd) int fd = -1;
	size_t looked_at = 0;
	const char *why;
	ptrdiff_t end;
	ssize_t got = PIECE;

	if (is_udp)
		return probe_file(sink, path, NET_TABLE_MAX, &why);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && got == PIECE && !text.overflow) {
		char piece[PIECE];
		do
			got = read(fd, piece, sizeof(piece));
		while (got < 0 && errno == EINTR);
		if (got <= 0)
			break;
		buf_put(&text, piece, (size_t)got);
		/* Every line that is whole now. */
		while ((end = slice_find(slice_skip(buf_slice(&text), looked_at), '\n')) >= 0) {
			struct slice line = slice_make(text.ptr + looked_at, (size_t)end);
			looked_at += (size_t)end + 1;
			if (parse_is_connection(line))
				return arena_slice(&sink->arena, slice_make(text.ptr, looked_at));
		}
	}
	return fd < 0 ? (struct slice){0} : arena_slice(&sink->arena, buf_slice(&text));
}

static void read_sockets(struct net *net, const char *path, bool is_udp)
{
	struct slice text = listening(net->sink, path, is_udp);
	struct parsed_socket socket;

	/* Without IPv6 there are no such tables. */
	if (!text.ptr && access(path, F_OK) == 0)
		probe_skip(net->sink, SLICE("net/listen/"), "%s: it cannot be read", path);
	while (text.ptr) {
		if (!parse_socket(slice_cut(&text, '\n'), is_udp, &socket))
			continue;
		struct port *port = port_of(net, is_udp, socket.port);
		if (!port)
			return;
		port->loopback |= socket.scope == SCOPE_LOOPBACK;
		port->any |= socket.scope == SCOPE_ANY;
		port->host |= socket.scope == SCOPE_HOST;
		port->uid = socket.uid;
		port->inode = socket.inode;
	}
}

/* Who has a socket is remembered: as long as the process still has it under the same number,
 * the descriptors of all others need not be looked at. */
static struct slice socket_key(struct net *net, uint64_t inode)
{
	return probe_key(net->sink, "socket %llu", (unsigned long long)inode);
}

static bool take_owner(struct net *net, struct port *port, int pid)
{
	char path[64];
	const char *why;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	struct slice name = probe_file(net->sink, path, 256, &why);
	if (name.ptr)
		port->process = arena_str(&net->sink->arena, slice_trim(name));
	return name.ptr != NULL;
}

/* "socket:[12345]" */
static bool is_socket(int dir_fd, const char *path, uint64_t *inode)
{
	char target[64];
	ssize_t len = readlinkat(dir_fd, path, target, sizeof(target));

	return len > 9 && memcmp(target, "socket:[", 8) == 0 &&
	       slice_to_u64(slice_make(target + 8, (size_t)len - 9), inode);
}

/* An empty answer: nobody's here. */
static bool recall_owner(struct net *net, struct port *port)
{
	struct slice answer;
	uint64_t inode, pid;

	if (!memory_recall(net->sink->memory, socket_key(net, port->inode), &answer))
		return false;
	if (!answer.len)
		return true;
	char *path = arena_str(&net->sink->arena, answer); /* /proc/PID/fd/FD */
	struct slice rest = slice_skip(slice_of(path), strlen("/proc/"));
	return is_socket(AT_FDCWD, path, &inode) && inode == port->inode &&
	       slice_to_u64(slice_cut(&rest, '/'), &pid) && take_owner(net, port, (int)pid);
}

/* False: nobody is looked for any more. */
static bool note_owner(struct net *net, uint64_t inode, int pid, const char *fd)
{
	size_t wanted = 0;

	for (size_t i = 0; i < net->port_count; i++) {
		struct port *port = &net->ports[i];
		if (port->inode == inode && !port->process && take_owner(net, port, pid))
			memory_keep(net->sink->memory, socket_key(net, inode),
				    probe_key(net->sink, "/proc/%d/fd/%s", pid, fd));
		wanted += !port->process;
	}
	return wanted > 0;
}

/* False: all owners are found. */
static bool read_fds(struct net *net, int pid, size_t *looked_at)
{
	bool wanted = true;
	char path[64];
	struct dirent *entry;
	uint64_t inode;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *dir = opendir(path);
	if (!dir) {
		net->closed |= errno != ENOENT;
		return true;
	}
	while (wanted && *looked_at < NET_FDS_MAX && (entry = readdir(dir))) {
		++*looked_at;
		if (is_socket(dirfd(dir), entry->d_name, &inode))
			wanted = note_owner(net, inode, pid, entry->d_name);
	}
	closedir(dir);
	return wanted;
}

static void find_owners(struct net *net)
{
	bool all = true;

	for (size_t i = 0; i < net->port_count; i++)
		all = recall_owner(net, &net->ports[i]) && all;
	if (all)
		return;
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t looked_at = 0;
	uint64_t pid;
	bool wanted = true;
	while (wanted && proc && (entry = readdir(proc)))
		if (slice_to_u64(slice_of(entry->d_name), &pid) && pid < INT32_MAX)
			wanted = read_fds(net, (int)pid, &looked_at);
	if (proc)
		closedir(proc);
	/* One that may not be looked at, or that is not even listed (hidepid), can start another
	 * that may, with the same socket. */
	for (size_t i = 0; i < net->port_count && !net->closed && geteuid() == 0; i++)
		if (!net->ports[i].process && looked_at < NET_FDS_MAX)
			memory_keep(net->sink->memory, socket_key(net, net->ports[i].inode), SLICE(""));
}

static void put_port(struct net *net, const struct port *port)
{
	struct probe_sink *sink = net->sink;
	struct slice words[3], key;
	size_t count = 0;
	const char *name = port->is_udp ? "udp" : "tcp";

	if (port->any)
		words[count++] = SLICE("any");
	if (port->host)
		words[count++] = SLICE("host");
	if (port->loopback)
		words[count++] = SLICE("loopback");
	key = probe_key(sink, "net/listen/%s:%u/address", name, port->number);
	/* A port the kernel chose is another one after the next start. */
	if (port->number >= net->ephemeral && port->number <= net->ephemeral_end)
		probe_evidence(sink, key, words[0]);
	else
		probe_words(sink, key, words, count);
	const char *user = names_user(&net->names, port->uid);
	probe_evidence(
		sink, probe_key(sink, "net/listen/%s:%u/process", name, port->number),
		slice_of(port->process ? arena_printf(&sink->arena, "%s (%s)", port->process, user) : user));
}

/* "TCP6: inuse 0": there is none to list, which the table takes the kernel a look through all
 * connections to say. */
static bool has_tcp6(struct net *net)
{
	static const char none[] = "TCP6: inuse 0\n";
	const char *why;
	struct slice text = probe_file(net->sink, "/proc/net/sockstat6", KIB(4), &why);

	return !text.ptr || !memmem(text.ptr, text.len, none, strlen(none));
}

static void look_at_ports(struct net *net)
{
	const char *why;
	struct slice range = probe_file(net->sink, "/proc/sys/net/ipv4/ip_local_port_range", 64, &why);
	uint64_t from, to;

	net->ephemeral = 32768;
	net->ephemeral_end = 60999;
	for (size_t i = 0; i < range.len; i++)
		if (range.ptr[i] == '\n')
			range.len = i;
	if (slice_to_u64(parse_word(&range), &from) && slice_to_u64(parse_word(&range), &to) && from <= to &&
	    to < 65536) {
		net->ephemeral = (unsigned)from;
		net->ephemeral_end = (unsigned)to;
	}
	read_sockets(net, "/proc/net/tcp", false);
	if (has_tcp6(net))
		read_sockets(net, "/proc/net/tcp6", false);
	read_sockets(net, "/proc/net/udp", true);
	read_sockets(net, "/proc/net/udp6", true);
	find_owners(net);
	for (size_t i = 0; i < net->port_count; i++)
		put_port(net, &net->ports[i]);
}

/* ---- routes ---- */

static void read_routes(struct net *net, const char *path, const char *family,
			bool (*parse)(struct slice line, struct parsed_route *out))
{
	struct probe_sink *sink = net->sink;
	const char *why;
	struct slice text = probe_file(sink, path, NET_TABLE_MAX, &why);
	bool has_default = false;
	struct parsed_route route;
	int budget = 2000;

	if (!text.ptr)
		return;
	while (text.ptr && budget-- > 0) {
		if (!parse(slice_cut(&text, '\n'), &route))
			continue;
		if (route.is_default) {
			has_default = true;
			probe_evidence(sink, probe_key(sink, "net/route/default-%s/gateway", family),
				       slice_of(arena_printf(&sink->arena, "%s by %.*s", route.gateway,
							     SLICE_ARG(route.interface))));
		} else if (route.via_gateway) {
			probe_str(sink, probe_key(sink, "net/route/%s/gateway", route.destination),
				  route.gateway);
		} else {
			probe_evidence(sink, probe_key(sink, "net/route/%s/interface", route.destination),
				       route.interface);
		}
	}
	probe_str(sink, probe_key(sink, "net/route/default-%s/present", family), has_default ? "yes" : "no");
}

/* ---- names ---- */

static size_t split(struct slice text, struct slice *words, size_t max)
{
	size_t count = 0;

	for (struct slice word; count < max && (word = parse_word(&text)).len;)
		words[count++] = word;
	return count;
}

static void read_resolver(struct net *net, const char *path, const char *attribute, bool whole)
{
	struct probe_sink *sink = net->sink;
	struct slice servers[NET_WORDS_MAX], options[NET_WORDS_MAX], search = SLICE(""), rest;
	size_t server_count = 0, option_count = 0;
	const char *why;
	struct slice text = probe_file(sink, path, KIB(64), &why);

	if (!text.ptr) {
		if (whole)
			probe_skip(sink, SLICE("net/resolver/"), "%s: %s", path, why);
		return;
	}
	while (text.ptr) {
		struct slice word = parse_keyword(slice_cut(&text, '\n'), &rest);
		if (slice_is(word, "nameserver"))
			server_count += split(rest, servers + server_count,
					      MIN((size_t)1, NET_WORDS_MAX - server_count));
		else if (slice_is(word, "options"))
			option_count += split(rest, options + option_count, NET_WORDS_MAX - option_count);
		else if (slice_is(word, "search") || slice_is(word, "domain"))
			search = slice_trim(rest); /* the last counts, in its order */
	}
	probe_words(sink, probe_key(sink, "net/resolver/%s", attribute), servers, server_count);
	if (!whole)
		return;
	probe_words(sink, SLICE("net/resolver/options"), options, option_count);
	probe_text(sink, SLICE("net/resolver/search"), search);
}

static bool is_host_name(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
		      strchr(".-_:", *c)))
			return false;
	return *name && *name != '-' && strlen(name) < 256;
}

static void resolve(struct net *net, const char *name)
{
	struct probe_sink *sink = net->sink;
	struct slice addresses[NET_WORDS_MAX], key = probe_key(sink, "net/dns/%s/addresses", name);
	const char *why = "it is no host name", *argv[] = {"getent", "ahosts", name, NULL};
	size_t count = 0;
	struct slice text = {0};

	if (is_host_name(name))
		text = probe_command(sink, argv, 4000, KIB(64), &why);
	/* 2 is getent's word for a name that nobody knows, which is an answer. */
	if (!text.ptr && !slice_ends_with(slice_of(why), " 2")) {
		probe_skip(sink, key, "%s does not resolve here: %s", name, why);
		return;
	}
	while (text.ptr && count < NET_WORDS_MAX) {
		struct slice line = slice_cut(&text, '\n');
		addresses[count] = parse_word(&line);
		count += addresses[count].len > 0;
	}
	probe_words(sink, key, addresses, count);
}

/* What /etc/hosts says beside this machine's own names. */
static void read_hosts(struct net *net)
{
	struct probe_sink *sink = net->sink;
	const char *why;
	struct slice text = probe_file(sink, "/etc/hosts", MIB(1), &why), rest;
	char own[256] = "";
	struct map lists = MAP_INIT;
	struct list {
		struct slice items[8];
		size_t count;
	};

	gethostname(own, sizeof(own) - 1);
	for (int lines = 0; text.ptr && lines < 5000; lines++) {
		struct slice address = parse_keyword(slice_cut(&text, '\n'), &rest), name;
		if (slice_starts_with(address, "127.") || slice_is(address, "::1") ||
		    slice_starts_with(address, "fe0") || slice_starts_with(address, "ff0"))
			continue;
		while ((name = slice_trim(parse_word(&rest))).len) {
			if (slice_is(name, own) || name.len > 255 ||
			    (name.len > strlen(own) && *own && slice_starts_with(name, own) &&
			     name.ptr[strlen(own)] == '.'))
				continue;
			struct list *list = map_get(&lists, name);
			if (!list)
				map_put(&lists, name, list = ARENA_NEW(&sink->arena, struct list));
			if (list->count < ARRAY_LEN(list->items))
				list->items[list->count++] = address;
		}
	}
	for (size_t i = 0; i < lists.entries_used; i++) {
		struct list *list = lists.entries[i].value;
		probe_words(sink,
			    probe_key(sink, "net/hosts/%.*s/addresses", SLICE_ARG(lists.entries[i].key)),
			    list->items, list->count);
	}
	map_free(&lists);
}

/* ---- firewall ---- */

/* Rules that programs add and remove by themselves. */
static bool is_dynamic(struct slice chain)
{
	return slice_glob_match(SLICE("*f2b-*"), chain) || slice_glob_match(SLICE("*addr-set-*"), chain) ||
	       slice_glob_match(SLICE("*sshguard*"), chain) || slice_glob_match(SLICE("*crowdsec*"), chain);
}

static void put_chain(struct net *net, const char *kind, struct slice chain, struct slice rules)
{
	struct probe_sink *sink = net->sink;
	struct digest digest;

	struct slice key = probe_key(sink, "net/firewall/%s%.*s/rules", kind, SLICE_ARG(chain));
	struct slice shown = slice_make(rules.ptr, MIN(rules.len, (size_t)NET_RULES_TEXT_MAX));
	if (is_dynamic(chain)) {
		probe_evidence(sink, key, shown);
		return;
	}
	if (rules.len <= NET_RULES_TEXT_MAX)
		probe_text(sink, key, rules);
	digest_of(rules, &digest);
	probe_digest(sink, probe_key(sink, "net/firewall/%s%.*s/digest", kind, SLICE_ARG(chain)), &digest);
}

struct chains {
	struct net *net;
	const char *kind;
	struct map by_name;
	size_t count;
};

static void add_rule(void *context, struct slice table, struct slice chain, struct slice rule)
{
	struct chains *chains = context;
	struct arena *arena = &chains->net->sink->arena;
	char *name = arena_printf(arena, "%.*s %.*s", SLICE_ARG(table), SLICE_ARG(chain));
	struct buf *rules = map_get(&chains->by_name, slice_of(name));

	if (!rules && chains->count++ < NET_CHAINS_MAX) {
		rules = ARENA_NEW(arena, struct buf);
		*rules = BUF_INIT(KIB(60));
		map_put(&chains->by_name, slice_of(name), rules);
		buf_puts(rules, "policy ");
	} else if (rules) {
		buf_puts(rules, "; ");
	}
	if (rules)
		buf_put_slice(rules, rule);
}

static void put_iptables(struct net *net, const char *kind, struct slice text)
{
	struct chains chains = {.net = net, .kind = kind};

	parse_iptables(text, add_rule, &chains);
	for (size_t i = 0; i < chains.by_name.entries_used; i++) {
		struct buf *rules = chains.by_name.entries[i].value;
		put_chain(net, kind, chains.by_name.entries[i].key, buf_slice(rules));
		buf_free(rules);
	}
	map_free(&chains.by_name);
}

static void put_nft(struct net *net, struct slice text)
{
	AUTO(parse_firewall_free) struct parse_firewall parser = {.rest = text};

	for (size_t i = 0; i < NET_CHAINS_MAX && parse_nft_next(&parser); i++)
		/* iptables' own tables come with iptables-save, in the words people know. */
		if (!slice_glob_match(SLICE("ip* XT_*"), buf_slice(&parser.name)))
			put_chain(net, "nft ", buf_slice(&parser.name), buf_slice(&parser.rules));
}

static void put_section(struct net *net, struct slice name, struct slice body)
{
	if (slice_is(name, "nft"))
		put_nft(net, body);
	else if (slice_is(name, "iptables"))
		put_iptables(net, "ipv4 ", body);
	else if (slice_is(name, "ip6tables"))
		put_iptables(net, "ipv6 ", body);
}

/* Rules whose text changes by itself, without a new generation. */
static bool is_moving(struct slice rules)
{
	static const char *const words[] = {"dynamic", "timeout", " device"};

	for (size_t i = 0; rules.ptr && i < ARRAY_LEN(words); i++)
		if (memmem(rules.ptr, rules.len, words[i], strlen(words[i])))
			return true;
	return false;
}

/* iptables-save of before nf_tables shows rules that have no generation. */
static bool shows_nf_tables(struct probe_sink *sink, const char *name)
{
	const char *program = probe_program(sink, name);
	char real[PATH_MAX];

	return program && realpath(program, real) &&
	       (strcmp(name, "nft") == 0 || slice_ends_with(slice_of(real), "/xtables-nft-multi"));
}

/* What was answered is kept as long as the kernel has the same generation of rules. */
static struct slice ask_for_rules(struct probe_sink *sink, const char *const *argv, const char **why)
{
	enum { RULES_TIME_MS = 5000 };
	uint32_t generation;

	if (shows_nf_tables(sink, argv[0]) && netfilter_generation(&generation)) {
		struct slice also = probe_key(sink, " generation %u", generation);
		struct slice text = command_kept(sink, argv, also, RULES_TIME_MS, MIB(4), why);
		if (!is_moving(text))
			return text;
	}
	return probe_command(sink, argv, RULES_TIME_MS, MIB(4), why);
}

static void look_at_firewall(struct net *net)
{
	struct probe_sink *sink = net->sink;
	const char *why;

	if (geteuid() == 0 && !helper_is_there(sink)) {
		static const char *const commands[][5] = {{"nft", "-s", "list", "ruleset", NULL},
							  {"iptables-save", NULL},
							  {"ip6tables-save", NULL}};
		static const char *const names[] = {"nft", "iptables", "ip6tables"};
		const char *reason = "";
		bool any = false;
		for (size_t i = 0; i < ARRAY_LEN(names); i++) {
			struct slice text = ask_for_rules(sink, commands[i], &why);
			if (text.ptr)
				put_section(net, slice_of(names[i]), text);
			else
				reason = why;
			any |= text.ptr != NULL;
		}
		if (!any)
			probe_skip(sink, SLICE("net/firewall/"),
				   "neither nft nor iptables-save shows the rules: %s", reason);
		return;
	}
	struct slice text = helper_run(sink, &net->names, &why), name, body;
	if (!text.ptr) {
		probe_skip(sink, SLICE("net/firewall/"), "%s", why);
		return;
	}
	bool any = false;
	while (helper_next(&text, &name, &body)) {
		put_section(net, name, body);
		any |= slice_is(name, "nft") || slice_ends_with(name, "tables");
	}
	if (!any)
		probe_skip(sink, SLICE("net/firewall/"),
			   "there is neither nft nor iptables-save on this server");
}

static int net_run(struct probe_sink *sink, struct err *err)
{
	struct net *net = ARENA_NEW(&sink->arena, struct net);

	(void)err;
	net->sink = net->names.sink = sink;
	look_at_ports(net);
	read_routes(net, "/proc/net/route", "ipv4", parse_route);
	read_routes(net, "/proc/net/ipv6_route", "ipv6", parse_route6);
	read_resolver(net, "/etc/resolv.conf", "nameservers", true);
	read_resolver(net, "/run/systemd/resolve/resolv.conf", "upstream", false);
	read_hosts(net);
	look_at_firewall(net);
	for (size_t i = 0; i < sink->request->name_count; i++)
		resolve(net, sink->request->names[i]);
	return 0;
}

static const struct probe_fact net_facts[] = {
	{"net/listen/tcp:PORT/address", "set",
	 "who can reach it: loopback, any, host (one address of this machine)"},
	{"net/listen/tcp:PORT/process", "evidence", "the program and user that listen there"},
	{"net/route/default-ipv4/present", "text", "yes or no"},
	{"net/route/DESTINATION/gateway", "text",
	 "a route that is not the default, and leads over a gateway"},
	{"net/route/DESTINATION/interface", "evidence", "networks that are reached directly"},
	{"net/resolver/nameservers", "set", "of /etc/resolv.conf"},
	{"net/resolver/upstream", "set", "where systemd-resolved asks"},
	{"net/resolver/search", "text", "domains that are tried behind a name, in their order"},
	{"net/resolver/options", "set", "of /etc/resolv.conf"},
	{"net/hosts/NAME/addresses", "set", "names that /etc/hosts adds"},
	{"net/dns/NAME/addresses", "set",
	 "what a listed name resolves to on this server; empty: nobody knows it"},
	{"net/firewall/CHAIN/rules", "text",
	 "rules of nftables or iptables without counters; needs the helper"},
	{"net/firewall/CHAIN/digest", "digest", "SHA-256 of these rules"},
	{NULL, NULL, NULL},
};

const struct probe probe_net = {
	.dimension = "net",
	.text = "listening ports, routes, resolvers, DNS answers, /etc/hosts, firewall rules",
	.facts = net_facts,
	.time_ms = 30000,
	.remembers = true,
	.run = net_run,
};
