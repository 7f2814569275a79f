/* Parsers without I/O; what each reads stands in the header. */
#include "probe/parse.h"

#include <stdio.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}
static bool is_name_start(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}
static bool is_name(char c)
{
	return is_name_start(c) || is_digit(c) || c == '.' || c == '-';
}

static struct slice skip_blanks(struct slice s)
{
	while (s.len && is_blank(*s.ptr))
		s = slice_skip(s, 1);
	return s;
}

struct slice parse_word(struct slice *rest)
{
	struct slice s = skip_blanks(*rest);
	size_t len = 0;

	while (len < s.len && !is_blank(s.ptr[len]))
		len++;
	*rest = slice_skip(s, len);
	return slice_make(s.ptr, len);
}

static struct slice take_line(struct slice *rest)
{
	struct slice line = slice_cut(rest, '\n');

	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* ---- files of variables ---- */

void parse_env_begin(struct parse_env *parser, struct slice text)
{
	if (slice_starts_with(text, "\xef\xbb\xbf"))
		text = slice_skip(text, 3);
	*parser = (struct parse_env){.rest = text, .next_line = 1, .value = BUF_SECRET(KIB(64))};
}

static char unescape(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case '\\':
	case '"':
	case '$':
	case '`':
		return c;
	default:
		return '\0';
	}
}

/* `text` begins behind the opening quote and may hold many lines; *rest becomes what
 * follows the closing one. */
static bool take_quoted(struct parse_env *parser, struct slice text, char quote, struct slice *rest,
			bool *refers)
{
	size_t at = 0;

	for (; at < text.len && text.ptr[at] != quote; at++) {
		char c = text.ptr[at];
		char escaped =
			quote == '"' && c == '\\' && at + 1 < text.len ? unescape(text.ptr[at + 1]) : '\0';
		if (c == '\r' && at + 1 < text.len && text.ptr[at + 1] == '\n')
			continue;
		if (c == '\n')
			parser->next_line++;
		*refers |= quote == '"' && c == '$';
		buf_putc(&parser->value, escaped ? escaped : c);
		at += escaped != '\0';
	}
	if (at == text.len)
		return false;
	*rest = slice_skip(text, at + 1);
	return true;
}

/* Up to a comment, which begins behind a blank. */
static struct slice bare_value(struct slice line)
{
	size_t end = 0;

	while (end < line.len && !(line.ptr[end] == '#' && (end == 0 || is_blank(line.ptr[end - 1]))))
		end++;
	return slice_trim(slice_make(line.ptr, end));
}

static struct slice variable_name(struct slice *line)
{
	struct slice rest = *line, behind = rest;
	size_t len = 0;

	if (slice_is(parse_word(&behind), "export") && (behind = skip_blanks(behind)).len &&
	    is_name_start(*behind.ptr))
		rest = behind;
	if (rest.len && is_name_start(*rest.ptr))
		while (len < rest.len && is_name(rest.ptr[len]))
			len++;
	*line = skip_blanks(slice_skip(rest, len));
	return slice_make(rest.ptr, len);
}

static int take_variable(struct parse_env *parser, struct slice line, struct parsed_variable *out)
{
	struct slice behind;

	*out = (struct parsed_variable){.name = variable_name(&line)};
	if (out->name.len == 0 || line.len == 0 || *line.ptr != '=')
		return -1;
	line = skip_blanks(slice_skip(line, 1));
	buf_clear(&parser->value);
	parser->value.overflow = false;
	if (line.len == 0 || !strchr("\"'`", *line.ptr)) {
		out->value = bare_value(line);
		out->refers = slice_find(out->value, '$') >= 0;
		return 1;
	}
	/* The lines behind this one belong to it until the quote is closed. */
	struct slice all = slice_make(
		line.ptr + 1, parser->rest.ptr ? (size_t)(parser->rest.ptr + parser->rest.len - line.ptr - 1)
					       : line.len - 1);
	size_t before = parser->next_line;
	if (!take_quoted(parser, all, *line.ptr, &behind, &out->refers)) {
		parser->next_line = before;
		return -1;
	}
	parser->rest = behind;
	behind = skip_blanks(take_line(&parser->rest));
	out->value = buf_slice(&parser->value);
	return parser->value.overflow || (behind.len && *behind.ptr != '#') ? -1 : 1;
}

int parse_env_next(struct parse_env *parser, struct parsed_variable *out)
{
	while (parser->rest.ptr && parser->rest.len) {
		struct slice line = skip_blanks(take_line(&parser->rest));
		parser->line = parser->next_line++;
		if (line.len && *line.ptr != '#')
			return take_variable(parser, line, out);
	}
	return 0;
}

/* ---- /proc/net ---- */

static bool hex_number(struct slice s, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		int digit = is_digit(c)		   ? c - '0'
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
						   : -1;
		if (digit < 0)
			return false;
		*out = *out << 4 | (unsigned)digit;
	}
	return s.len > 0 && s.len <= 16;
}

/* The kernel prints addresses as words of the machine, which is little-endian. */
static enum parsed_scope scope_of(struct slice hex)
{
	static const char zeros[] = "00000000000000000000000000000000";

	if (hex.len <= 32 && memcmp(hex.ptr, zeros, hex.len) == 0)
		return SCOPE_ANY;
	if (hex.len == 8)
		return slice_ends_with(hex, "7F") ? SCOPE_LOOPBACK : SCOPE_HOST;
	if (slice_is(hex, "00000000000000000000000001000000"))
		return SCOPE_LOOPBACK;
	if (slice_starts_with(hex, "0000000000000000FFFF0000"))
		return scope_of(slice_skip(hex, 24));
	return SCOPE_HOST;
}

bool parse_socket(struct slice line, bool is_udp, struct parsed_socket *out)
{
	struct slice words[10];
	uint64_t port, remote;

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		words[i] = parse_word(&line);
	struct slice address = slice_cut(&words[1], ':');
	slice_cut(&words[2], ':');
	if ((address.len != 8 && address.len != 32) || !hex_number(words[1], &port) || port == 0 ||
	    port > 65535 || !hex_number(words[2], &remote) || remote != 0 ||
	    !slice_is(words[3], is_udp ? "07" : "0A") || !slice_to_u64(words[7], &out->uid) ||
	    !slice_to_u64(words[9], &out->inode))
		return false;
	out->port = (unsigned)port;
	out->scope = scope_of(address);
	return true;
}

bool parse_is_connection(struct slice line)
{
	struct slice word = {0};
	uint64_t state;

	for (int i = 0; i < 4; i++)
		word = parse_word(&line);
	return word.len == 2 && hex_number(word, &state) && !slice_is(word, "0A") && !slice_is(word, "03");
}

static void put_v4(uint64_t address, char out[PARSED_ADDRESS_MAX], int prefix)
{
	int len = snprintf(out, PARSED_ADDRESS_MAX, "%u.%u.%u.%u", (unsigned)(address & 255),
			   (unsigned)(address >> 8 & 255), (unsigned)(address >> 16 & 255),
			   (unsigned)(address >> 24 & 255));
	if (prefix >= 0)
		snprintf(out + len, PARSED_ADDRESS_MAX - (size_t)len, "/%d", prefix);
}

enum { ROUTE_UP = 1, ROUTE_GATEWAY = 2, ROUTE_REJECT = 0x200 };
#define ROUTE_LOCAL 0x80000000u

bool parse_route(struct slice line, struct parsed_route *out)
{
	struct slice words[8];
	uint64_t destination, gateway, flags, mask;

	*out = (struct parsed_route){0};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		words[i] = slice_trim(parse_word(&line));
	if (!hex_number(words[1], &destination) || !hex_number(words[2], &gateway) ||
	    !hex_number(words[3], &flags) || !hex_number(words[7], &mask) || !(flags & ROUTE_UP) ||
	    flags & ROUTE_REJECT)
		return false;
	out->interface = words[0];
	out->is_default = destination == 0 && mask == 0;
	out->via_gateway = flags & ROUTE_GATEWAY;
	put_v4(destination, out->destination, __builtin_popcountll(mask & UINT32_MAX));
	put_v4(gateway, out->gateway, -1);
	return true;
}

/* Eight groups without leading zeros; "::" is not made, as equal addresses only have to
 * look equal. */
static bool put_v6(struct slice hex, char out[PARSED_ADDRESS_MAX], bool *is_zero)
{
	size_t at = 0;
	uint64_t group;

	*is_zero = true;
	if (hex.len != 32)
		return false;
	for (size_t i = 0; i < 32; i += 4) {
		if (!hex_number(slice_make(hex.ptr + i, 4), &group))
			return false;
		*is_zero &= group == 0;
		at += (size_t)snprintf(out + at, PARSED_ADDRESS_MAX - at, i ? ":%x" : "%x", (unsigned)group);
	}
	return true;
}

bool parse_route6(struct slice line, struct parsed_route *out)
{
	struct slice words[10];
	uint64_t prefix, flags;
	bool to_all, direct;

	*out = (struct parsed_route){0};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		words[i] = slice_trim(parse_word(&line));
	if (!put_v6(words[0], out->destination, &to_all) || !hex_number(words[1], &prefix) || prefix > 128 ||
	    !put_v6(words[4], out->gateway, &direct) || !hex_number(words[8], &flags) ||
	    !(flags & ROUTE_UP) || flags & (ROUTE_REJECT | ROUTE_LOCAL) || slice_is(words[9], "lo"))
		return false;
	size_t len = strlen(out->destination);
	snprintf(out->destination + len, sizeof(out->destination) - len, "/%u", (unsigned)prefix);
	out->interface = words[9];
	out->is_default = to_all && prefix == 0;
	out->via_gateway = !direct;
	return true;
}

/* ---- resolv.conf, hosts ---- */

struct slice parse_keyword(struct slice line, struct slice *rest)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] == '#' || line.ptr[i] == ';')
			line.len = i;
	struct slice word = parse_word(&line);
	*rest = slice_trim(line);
	return word;
}

/* ---- firewalls ---- */

void parse_firewall_free(struct parse_firewall *parser)
{
	buf_free(&parser->name);
	buf_free(&parser->rules);
	buf_free(&parser->table);
}

static bool is_count(struct slice word)
{
	uint64_t number;
	return slice_to_u64(word, &number);
}

/* One rule without "counter packets 3 bytes 180", "# handle 4". */
static void put_rule(struct buf *out, struct slice rule)
{
	if (out->len)
		buf_puts(out, "; ");
	for (bool first = true; rule.len; first = false) {
		struct slice word = parse_word(&rule);
		struct slice ahead = rule;
		if (slice_is(word, "#"))
			return;
		if (slice_is(word, "packets") || slice_is(word, "bytes")) {
			if (is_count(parse_word(&ahead))) {
				rule = ahead;
				continue;
			}
		}
		if (word.len == 0)
			continue;
		if (!first)
			buf_putc(out, ' ');
		buf_put_slice(out, word);
	}
}

bool parse_nft_next(struct parse_firewall *parser)
{
	bool inside = false;
	int deeper = 0;

	parser->rules.max = parser->name.max = parser->table.max = KIB(60);
	buf_clear(&parser->rules);
	parser->rules.overflow = false;
	while (parser->rest.ptr) {
		struct slice line = slice_trim(take_line(&parser->rest));
		bool opens = slice_ends_with(line, "{"), closes = slice_is(line, "}");
		if (inside) {
			/* Sets written over several lines belong to the chain or set they stand in. */
			if (closes && deeper-- == 0)
				return true;
			deeper += opens;
			if (line.len)
				put_rule(&parser->rules, line);
			continue;
		}
		if (!opens)
			continue;
		line = slice_trim(slice_make(line.ptr, line.len - 1));
		struct slice rest = line, word = parse_word(&rest);
		if (slice_is(word, "table")) {
			buf_clear(&parser->table);
			buf_put_slice(&parser->table, slice_trim(rest));
			continue;
		}
		buf_clear(&parser->name);
		buf_put_slice(&parser->name, buf_slice(&parser->table));
		buf_putc(&parser->name, ' ');
		buf_put_slice(&parser->name, slice_is(word, "chain") ? slice_trim(rest) : line);
		inside = true;
	}
	return false;
}

void parse_iptables(struct slice text,
		    void (*each)(void *context, struct slice table, struct slice chain, struct slice rule),
		    void *context)
{
	struct slice table = SLICE("");

	while (text.ptr) {
		struct slice line = slice_trim(take_line(&text));
		if (line.len < 2)
			continue;
		struct slice rest = slice_skip(line, 1);
		if (*line.ptr == '*') {
			table = rest;
		} else if (*line.ptr == ':') {
			struct slice chain = parse_word(&rest), policy = parse_word(&rest);
			if (chain.len)
				each(context, table, chain, policy);
		} else if (slice_starts_with(line, "-A ")) {
			rest = slice_skip(line, 3);
			struct slice chain = parse_word(&rest);
			if (chain.len)
				each(context, table, chain, slice_trim(rest));
		}
	}
}

/* ---- systemd ---- */

/* "{ path=/usr/bin/node ; argv[]=… }" */
static struct slice exec_path(struct slice value)
{
	while (value.len) {
		struct slice word = parse_word(&value);
		if (slice_starts_with(word, "path="))
			return slice_skip(word, 5);
	}
	return SLICE("");
}

bool parse_unit_next(struct slice *rest, struct parsed_unit *out)
{
	bool any = false;

	*out = (struct parsed_unit){0};
	while (rest->ptr) {
		struct slice line = take_line(rest);
		if (line.len == 0 && any) {
			if (out->id.len)
				return true;
			*out = (struct parsed_unit){0};
			any = false;
		}
		struct slice value = line, name = slice_cut(&value, '=');
		any |= line.len > 0;
		if (!value.ptr)
			continue;
		if (slice_is(name, "Id"))
			out->id = value;
		else if (slice_is(name, "ActiveState"))
			out->active = value;
		else if (slice_is(name, "Type"))
			out->type = value;
		else if (slice_is(name, "ExecStart") && !out->exec.len)
			out->exec = exec_path(value);
		else if (slice_is(name, "MainPID") && !slice_to_u64(value, &out->main_pid))
			out->main_pid = 0;
	}
	return out->id.len > 0;
}

/* ---- cron ---- */

bool parse_cron(struct slice line, bool has_user, struct parsed_cron *out)
{
	struct slice rest = slice_trim(line), name = rest;

	*out = (struct parsed_cron){0};
	if (rest.len == 0 || *rest.ptr == '#')
		return false;
	if (is_name_start(*rest.ptr)) {
		struct slice value = rest;
		name = slice_trim(slice_cut(&value, '='));
		if (!value.ptr || slice_find(name, ' ') >= 0 || slice_find(name, '\t') >= 0)
			return false;
		out->name = name;
		out->value = slice_trim(value);
		return true;
	}
	const char *start = rest.ptr;
	for (int fields = *start == '@' ? 1 : 5; fields; fields--) {
		struct slice word = parse_word(&rest);
		out->schedule = slice_make(start, (size_t)(word.ptr + word.len - start));
	}
	if (has_user)
		out->user = parse_word(&rest);
	out->command = slice_trim(rest);
	return out->command.len > 0;
}

void parse_cron_redact(struct slice command, struct buf *out)
{
	static const char *const before[] = {"-p",     "-u",	  "-H",	      "--password",
					     "--user", "--token", "--header", "-a"};
	bool hide = false;

	for (bool first = true; command.len; first = false) {
		struct slice word = parse_word(&command), tail = word;
		const char *at = memrchr(word.ptr, '@', word.len);
		if (word.len == 0)
			continue;
		if (at)
			tail = slice_skip(word, (size_t)(at - word.ptr));
		struct slice head = slice_cut(&tail, '=');
		if (!first)
			buf_putc(out, ' ');
		if (hide)
			buf_puts(out, "...");
		else if (slice_starts_with(word, "-p") && word.len > 2)
			buf_puts(out, "-p...");
		else
			buf_put_slice(out, head);
		if (!hide && (at || tail.ptr))
			buf_puts(out, tail.ptr ? "=..." : "...");
		hide = false;
		for (size_t i = 0; i < ARRAY_LEN(before); i++)
			hide |= slice_is(word, before[i]);
	}
}

/* ---- compose ---- */

void parse_compose_begin(struct parse_compose *parser, struct slice text)
{
	*parser = (struct parse_compose){.rest = text, .service_indent = SIZE_MAX, .item_indent = SIZE_MAX};
}

static struct slice scalar(struct slice s)
{
	s = slice_trim(s);
	if (s.len && (*s.ptr == '"' || *s.ptr == '\'')) {
		struct slice rest = slice_skip(s, 1);
		return slice_cut(&rest, *s.ptr);
	}
	return bare_value(s);
}

bool parse_compose_next(struct parse_compose *parser, struct slice *service, struct slice *image)
{
	while (parser->rest.ptr) {
		struct slice line = take_line(&parser->rest);
		size_t indent = 0;
		while (indent < line.len && line.ptr[indent] == ' ')
			indent++;
		line = slice_skip(line, indent);
		if (line.len == 0 || *line.ptr == '#' || *line.ptr == '\t')
			continue;
		struct slice value = line, key = scalar(slice_cut(&value, ':'));
		if (!value.ptr)
			continue;
		if (indent == 0) {
			parser->in_services = slice_is(key, "services");
			parser->service_indent = parser->item_indent = SIZE_MAX;
			continue;
		}
		if (!parser->in_services)
			continue;
		if (parser->service_indent == SIZE_MAX || indent <= parser->service_indent) {
			parser->service_indent = indent;
			parser->item_indent = SIZE_MAX;
			parser->service = key;
			continue;
		}
		if (parser->item_indent == SIZE_MAX)
			parser->item_indent = indent;
		if (indent != parser->item_indent || !slice_is(key, "image"))
			continue;
		*service = parser->service;
		*image = scalar(value);
		if (service->len && image->len)
			return true;
	}
	return false;
}
