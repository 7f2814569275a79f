/* The one reader of what a person writes for a server. */
#include "project/place.h"

#include "base/buf.h"
#include "project/path.h"

enum { PLACE_PATH_MAX = 1024, HOST_MAX = 253, USER_MAX = 64 };

static const char *const not_yet[] = {"sftp:", "ftps:", "ftp:", "s3:", "compose:", "k8s:", "swarm:"};

static bool only_of(struct slice text, const char *more)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!plain && (!c || !strchr(more, c)))
			return false;
	}
	return true;
}

static int set_user(struct arena *arena, struct slice user, struct place *place, struct err *err)
{
	if (!user.len)
		return err_set(err, ERR_USER, "nothing stands before the `@`");
	if (user.len > USER_MAX || user.ptr[0] == '-' || !only_of(user, "._+\\-"))
		return err_set(
			err, ERR_USER,
			"the user must be letters, digits and . _ + \\ -, and must not begin with `-`");
	place->user = arena_str(arena, user);
	return 0;
}

static int set_host(struct arena *arena, struct slice host, bool bracketed, struct place *place,
		    struct err *err)
{
	if (!host.len)
		return err_set(err, ERR_USER, "the host is missing");
	if (host.len > HOST_MAX)
		return err_set(err, ERR_USER, "the host is longer than %d bytes", HOST_MAX);
	if (host.ptr[0] == '-')
		return err_set(err, ERR_USER, "the host must not begin with `-`");
	if (bracketed && (slice_find(host, ':') < 0 || !only_of(host, ":.%-_")))
		return err_set(err, ERR_USER, "an IPv6 address belongs between the brackets");
	if (!bracketed && !only_of(host, "._-"))
		return err_set(err, ERR_USER, "the host must be letters, digits and . _ -");
	place->host = arena_str(arena, host);
	return 0;
}

/* Copies a path with single slashes and without a final one. */
static int clean_path(struct arena *arena, struct slice path, struct place *place, struct err *err)
{
	AUTO(buf_free) struct buf clean = BUF_INIT(PLACE_PATH_MAX);
	if (path.len > PLACE_PATH_MAX)
		return err_set(err, ERR_USER, "the path is longer than %d bytes", PLACE_PATH_MAX);
	if (has_control(path))
		return err_set(err, ERR_USER, "the path must not hold control characters");
	bool relative = path.len && path.ptr[0] != '/';
	for (struct slice rest = path; rest.ptr;) {
		struct slice part = slice_cut(&rest, '/');
		if (!part.len)
			continue;
		if (slice_is(part, "..") || slice_is(part, "."))
			return err_set(err, ERR_USER, "the path must not hold `.` or `..`");
		buf_printf(&clean, "%s%.*s", clean.len || !relative ? "/" : "", SLICE_ARG(part));
	}
	if (!clean.len)
		return err_set(err, ERR_USER, "the path must name a folder of its own, not the %s",
			       relative || !path.len ? "home folder" : "root");
	place->path = arena_str(arena, buf_slice(&clean));
	place->path_is_relative = relative;
	return 0;
}

static int set_path(struct arena *arena, struct slice path, struct place *place, struct err *err)
{
	if (slice_is(path, "~") || slice_is(path, "~/"))
		return err_set(err, ERR_USER, "the path must name a folder of its own, not the home folder");
	if (slice_starts_with(path, "~/")) {
		path = slice_skip(path, 2);
		if (slice_starts_with(path, "/"))
			return err_set(err, ERR_USER, "the path must not hold `~//`");
	} else if (slice_starts_with(path, "~")) {
		err_set(err, ERR_USER, "a path cannot begin with another user's home folder");
		return err_hint(err, "write the path in full");
	}
	return clean_path(arena, path, place, err);
}

int place_set_path(struct arena *arena, const char *path, struct place *place, struct err *err)
{
	return set_path(arena, slice_of(path), place, err);
}

/* Takes "[user@]host" or "[user@][v6]" off the front of *rest. In scp's form the
 * host ends at the first `:`, in a URL at `:` or `/`. */
static int take_host(struct arena *arena, struct slice *rest, const char *ends, struct place *place,
		     struct err *err)
{
	size_t end = 0;
	ptrdiff_t at = -1;
	for (; end < rest->len && !strchr(ends, rest->ptr[end]); end++) {
		if (rest->ptr[end] == '@')
			at = (ptrdiff_t)end;
		if (rest->ptr[end] == '[')
			break;
	}
	if (at >= 0) {
		if (set_user(arena, slice_make(rest->ptr, (size_t)at), place, err))
			return -1;
		*rest = slice_skip(*rest, (size_t)at + 1);
		end -= (size_t)at + 1;
	}
	if (!slice_starts_with(*rest, "[")) {
		struct slice host = slice_make(rest->ptr, end);
		*rest = slice_skip(*rest, end);
		return set_host(arena, host, false, place, err);
	}
	ptrdiff_t close = slice_find(*rest, ']');
	if (close < 0)
		return err_set(err, ERR_USER, "a `[` without its `]`");
	struct slice host = slice_make(rest->ptr + 1, (size_t)close - 1);
	*rest = slice_skip(*rest, (size_t)close + 1);
	return set_host(arena, host, true, place, err);
}

static int parse_url(struct arena *arena, struct slice rest, struct place *place, struct err *err)
{
	struct slice after = rest, authority = slice_cut(&after, '/');
	ptrdiff_t at = slice_find(authority, '@'), colon = slice_find(authority, ':');
	if (at >= 0 && colon >= 0 && colon < at)
		return err_set(err, ERR_USER, "a password cannot stand here; ssh asks for keys itself");
	if (take_host(arena, &rest, ":/", place, err))
		return -1;
	if (slice_starts_with(rest, ":")) {
		uint64_t port;
		ptrdiff_t slash = slice_find(rest, '/');
		struct slice digits = slice_make(rest.ptr + 1, (slash < 0 ? rest.len : (size_t)slash) - 1);
		if (!slice_to_u64(digits, &port) || port < 1 || port > 65535)
			return err_set(err, ERR_USER, "the port must be a number from 1 to 65535");
		place->port = (int)port;
		rest = slice_skip(rest, digits.len + 1);
	}
	if (!rest.len || slice_is(rest, "/"))
		return 0;
	if (rest.ptr[0] != '/')
		return err_set(err, ERR_USER, "`:PORT` or `/PATH` is expected behind the host");
	return set_path(arena, slice_starts_with(rest, "/~/") ? slice_skip(rest, 1) : rest, place, err);
}

static int parse_local(struct arena *arena, struct slice rest, struct place *place, struct err *err)
{
	place->kind = PLACE_LOCAL;
	if (!slice_starts_with(rest, "/")) {
		err_set(err, ERR_USER, "a place on this machine has no host");
		return err_hint(err, "write local:///PATH with three slashes");
	}
	return set_path(arena, rest, place, err);
}

static bool all_digits(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
	return text.len > 0;
}

/* "web:2222" and "web:2222:/srv" mean a port to whoever writes them, and a folder
 * of that name to scp. */
static int refuse_port(struct slice path, const struct place *place, struct err *err)
{
	struct slice first = path;
	first.len = strcspn(path.ptr, ":/");
	if (!all_digits(first))
		return 0;
	err_set(err, ERR_USER, "`%.*s` would be a folder here, not a port", SLICE_ARG(first));
	return err_hint(err, "write ssh://%s%s%s:%.*s/PATH for a port, ~/%.*s for a folder",
			place->user ? place->user : "", place->user ? "@" : "", place->host, SLICE_ARG(first),
			SLICE_ARG(first));
}

static bool looks_like_ipv6(struct slice text)
{
	size_t colons = 0;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == ':')
			colons++;
	return colons >= 2 && !slice_starts_with(text, "[") &&
	       strspn(text.ptr, "0123456789abcdefABCDEF:") == text.len;
}

static int parse_scp(struct arena *arena, struct slice rest, struct place *place, struct err *err)
{
	ptrdiff_t at = slice_find(rest, '@');
	if (looks_like_ipv6(slice_skip(rest, (size_t)(at + 1)))) {
		err_set(err, ERR_USER, "an IPv6 address needs brackets");
		return err_hint(err, "write [%s]:PATH", rest.ptr + at + 1);
	}
	if (take_host(arena, &rest, ":", place, err))
		return -1;
	if (!rest.len)
		return 0;
	if (rest.ptr[0] != ':')
		return err_set(err, ERR_USER, "`:PATH` is expected behind the host");
	rest = slice_skip(rest, 1);
	if (!rest.len)
		return err_set(err, ERR_USER, "nothing stands behind the `:`");
	if (refuse_port(rest, place, err))
		return -1;
	return set_path(arena, rest, place, err);
}

static int refuse_scheme(struct slice text, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(not_yet); i++)
		if (slice_starts_with(text, not_yet[i]))
			return err_set(err, ERR_USER, "places of the kind `%s` are not supported yet",
				       not_yet[i]);
	if (slice_starts_with(text, "ssh:") || slice_starts_with(text, "local:")) {
		err_set(err, ERR_USER, "the slashes are missing");
		return err_hint(err, "write ssh://[USER@]HOST[:PORT]/PATH or local:///PATH");
	}
	const char *scheme_end = memmem(text.ptr, text.len, "://", 3);
	if (scheme_end) {
		err_set(err, ERR_USER, "`%.*s://` is not a kind of place",
			(int)MIN(scheme_end - text.ptr, 40), text.ptr);
		return err_hint(err,
				"write [USER@]HOST[:PATH], ssh://[USER@]HOST[:PORT]/PATH or local:///PATH");
	}
	return 0;
}

static int parse(struct arena *arena, struct slice text, struct place *place, struct err *err)
{
	if (!text.len)
		return err_set(err, ERR_USER, "nothing stands here");
	if (has_control(text))
		return err_set(err, ERR_USER, "control characters are not possible here");
	if (slice_starts_with(text, "ssh://"))
		return parse_url(arena, slice_skip(text, 6), place, err);
	if (slice_starts_with(text, "local://"))
		return parse_local(arena, slice_skip(text, 8), place, err);
	if (refuse_scheme(text, err))
		return -1;
	return parse_scp(arena, text, place, err);
}

int place_parse(struct arena *arena, struct slice text, struct origin origin, struct place *out,
		struct err *err)
{
	if (text.len > PLACE_TEXT_MAX)
		return err_set(err, ERR_USER, "a server of %zu bytes; at most %d are possible", text.len,
			       PLACE_TEXT_MAX);
	const char *copy = arena_str(arena, text);
	struct place place = {.kind = PLACE_SSH, .text = copy, .origin = origin};
	if (parse(arena, slice_make(copy, text.len), &place, err)) {
		AUTO(buf_free) struct buf shown = BUF_INIT(KIB(8));
		buf_put_printable(&shown, text);
		return err_wrap(err, "server `%s`", buf_str(&shown));
	}
	*out = place;
	return 0;
}

static const char *lower(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);
	for (char *c = copy; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 32);
	return copy;
}

const char *place_key(struct arena *arena, const struct place *place)
{
	const char *path = place->path ? place->path : "";
	if (place->kind == PLACE_LOCAL)
		return arena_printf(arena, "local://%s", path);
	bool with_user = place->path_is_relative && place->user;
	return arena_printf(arena, "ssh://%s%s%s:%d%s%s", with_user ? place->user : "", with_user ? "@" : "",
			    lower(arena, place->host), place->port ? place->port : 22,
			    place->path_is_relative ? "/~/" : "", path);
}

const char *place_label(struct arena *arena, const struct place *place)
{
	const char *path = place->path ? place->path : "";
	if (place->kind == PLACE_LOCAL)
		return arena_printf(arena, "local://%s", path);
	bool v6 = strchr(place->host, ':') != NULL;
	const char *host = arena_printf(arena, "%s%s%s%s%s", place->user ? place->user : "",
					place->user ? "@" : "", v6 ? "[" : "", place->host, v6 ? "]" : "");
	/* A host named like a scheme needs one in front of it. */
	struct err like_scheme = ERR_INIT;
	if (!place->port && refuse_scheme(slice_of(arena_printf(arena, "%s:", host)), &like_scheme))
		return arena_printf(arena, "ssh://%s%s%s", host, place->path_is_relative ? "/~/" : "", path);
	if (place->port)
		return arena_printf(arena, "ssh://%s:%d%s%s", host, place->port,
				    place->path_is_relative ? "/~/" : "", path);
	/* What could be taken for a port, a home folder or an address is written out. */
	bool plain = (*path >= 'a' && *path <= 'z') || (*path >= 'A' && *path <= 'Z') || *path == '.' ||
		     *path == '_';
	bool home = place->path_is_relative && (!plain || strchr(path, ':'));
	return arena_printf(arena, "%s%s%s%s", host, place->path ? ":" : "", home ? "~/" : "", path);
}
