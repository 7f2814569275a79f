/* Addresses of repositories, taken apart without asking anybody. */
#include "source/url.h"

#include "source/source.h"

#include <ctype.h>
#include <stdlib.h>

static const char *const schemes[] = {"ssh", "git+ssh", "ssh+git", "https", "http", "git", "file"};

static int check_text(const char *text, struct err *err)
{
	size_t len = strlen(text);

	if (len == 0 || len > SOURCE_URL_MAX)
		return err_set(err, ERR_USER, "source: the address of the repository is %s",
			       len ? "too long" : "empty");
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return err_set(err, ERR_USER,
				       "source: the address holds a control character at byte %zu", i + 1);
	if (text[0] == '-') {
		err_set(err, ERR_USER, "source: `%s` would be taken for an option", text);
		return err_hint(err, "a folder of that name is written ./%s", text);
	}
	return 0;
}

/* `helper::address` makes git run the program git-remote-helper: `ext::` runs any
 * command at all. */
static bool is_remote_helper(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	return len > 0 && text[len] == ':' && text[len + 1] == ':';
}

/* git's own rule (url_is_local_not_ssh): no colon before the first slash. */
static bool is_path(const char *text)
{
	const char *colon = strchr(text, ':');
	const char *slash = strchr(text, '/');

	return !colon || (slash && slash < colon);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *percent_decode(struct arena *arena, const char *text)
{
	char *out = arena_strdup(arena, text), *to = out;

	for (const char *from = text; *from; from++) {
		int high = *from == '%' ? hex_value(from[1]) : -1;
		int low = high >= 0 ? hex_value(from[2]) : -1;
		if (low >= 0 && high * 16 + low > 0) {
			*to++ = (char)(high * 16 + low);
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return out;
}

static char *without_final_slashes(struct arena *arena, const char *text)
{
	char *out = arena_strdup(arena, text);
	size_t len = strlen(out);

	while (len > 1 && out[len - 1] == '/')
		out[--len] = '\0';
	return out;
}

static int parse_path(const char *path, const char *base_dir, struct arena *arena, struct url *out)
{
	const char *full = path[0] == '/' ? path : arena_printf(arena, "%s/%s", base_dir, path);

	/* A path that does not exist is reported by whoever opens it. */
	char *real = realpath(full, NULL);
	out->local = true;
	out->address = without_final_slashes(arena, real ? real : full);
	free(real);
	out->shown = out->address;
	out->canonical = arena_printf(arena, "file://%s", out->address);
	return 0;
}

static int parse_scheme(const char *text, struct arena *arena, struct url *out, struct err *err)
{
	const char *rest = strstr(text, "://") + 3;
	char *scheme = arena_str(arena, slice_make(text, (size_t)(rest - 3 - text)));
	bool known = false;

	for (char *c = scheme; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		known |= strcmp(scheme, schemes[i]) == 0;
	if (!known) {
		err_set(err, ERR_USER, "source: `%s://` is no kind of address that is known here", scheme);
		return err_hint(err,
				"use ssh://, https://, http://, git://, file://, user@host:path or a path");
	}
	size_t host_len = strcspn(rest, "/");
	if (strcmp(scheme, "file") == 0) {
		if (host_len != 0 && !slice_is(slice_make(rest, host_len), "localhost"))
			return err_set(err, ERR_USER,
				       "source: `%s`: a file:// address names no host: file:///path", text);
		if (rest[host_len] == '\0')
			return err_set(err, ERR_USER, "source: `%s` names no path", text);
		return parse_path(percent_decode(arena, rest + host_len), "/", arena, out);
	}
	struct slice authority = slice_make(rest, host_len), userinfo = {NULL, 0}, host = authority;
	for (size_t i = 0; i < authority.len; i++)
		if (authority.ptr[i] == '@') {
			userinfo = slice_make(authority.ptr, i);
			host = slice_skip(authority, i + 1);
		}
	if (host.len == 0 || host.ptr[0] == '-' || (userinfo.len && userinfo.ptr[0] == '-'))
		return err_set(err, ERR_USER, "source: `%s://%.*s` names no host", scheme, SLICE_ARG(host));
	char *lower = arena_str(arena, host);
	for (char *c = lower; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	/* Over http the name before '@' is a token as often as a user. */
	const char *user = "";
	if (strncmp(scheme, "http", 4) != 0 && userinfo.len)
		user = arena_printf(arena, "%.*s@", (int)strcspn(userinfo.ptr, ":@"), userinfo.ptr);
	else if (userinfo.len)
		out->userinfo = arena_str(arena, userinfo);
	out->address = arena_strdup(arena, text);
	out->shown = without_final_slashes(
		arena, arena_printf(arena, "%s://%s%s%s", scheme, user, lower, rest + host_len));
	out->canonical = out->shown;
	return 0;
}

int url_parse(const char *text, const char *base_dir, struct arena *arena, struct url *out, struct err *err)
{
	*out = (struct url){0};
	if (check_text(text, err))
		return -1;
	if (is_remote_helper(text)) {
		err_set(err, ERR_USER,
			"source: `%.*s::` addresses run a program of that name and are refused",
			(int)strcspn(text, ":"), text);
		return err_hint(err, "use ssh://, https://, user@host:path or a path");
	}
	if (is_path(text))
		return parse_path(text, base_dir, arena, out);
	if (strstr(text, "://"))
		return parse_scheme(text, arena, out, err);
	if (text[0] == ':' || strchr(text, ':')[1] == '\0')
		return err_set(err, ERR_USER, "source: `%s` is neither user@host:path nor a path", text);
	const char *at = strchr(text, '@');
	if (at && at < strchr(text, ':') && at[1] == '-')
		return err_set(err, ERR_USER, "source: `%s` names no host", text);
	out->address = arena_strdup(arena, text);
	out->shown = out->canonical = without_final_slashes(arena, text);
	return 0;
}

int url_resolve(const char *parent, const char *text, struct arena *arena, const char **out, struct err *err)
{
	if (strncmp(text, "./", 2) != 0 && strncmp(text, "../", 3) != 0 && strcmp(text, "..") != 0) {
		*out = text;
		return 0;
	}
	char *base = without_final_slashes(arena, parent);
	while (true) {
		if (strncmp(text, "./", 2) == 0) {
			text += 2;
			continue;
		}
		if (strncmp(text, "../", 3) != 0 && strcmp(text, "..") != 0)
			break;
		text += text[2] ? 3 : 2;
		char *slash = strrchr(base, '/');
		char *colon = strrchr(base, ':');
		/* "host:repo" with one level up is "host:". */
		char *cut = slash && (!colon || slash > colon) ? slash : colon ? colon + 1 : NULL;
		if (!cut || *cut == '\0' || (cut > base && cut[-1] == '/'))
			return err_set(err, ERR_USER, "the address `%s` leads out of `%s`", text, parent);
		*cut = '\0';
	}
	size_t len = strlen(base);
	const char *between = len && base[len - 1] == ':' ? "" : "/";
	*out = without_final_slashes(arena, arena_printf(arena, "%s%s%s", base, between, text));
	return 0;
}
