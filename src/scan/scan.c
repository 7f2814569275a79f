/* One pass over bytes: two bytes choose what may begin here. */
#include "scan/scan.h"

#include "base/fd.h"
#include "base/map.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <strings.h>

enum { VALUE_LEAST = 16, VALUE_MOST = 200, LINE_LONG = 1000, LOOK_BINARY = 8192 };

static uint8_t begins[65536 / 8];
static pthread_once_t begins_once = PTHREAD_ONCE_INIT;

static const char *const words[] = {"secret",  "password", "passwd",	 "token",
				    "api_key", "apikey",   "private_key"};
static const char key_block[] = "-----BEGIN ";

static void begin_add(char first, char second)
{
	unsigned at = (unsigned)(uint8_t)first << 8 | (uint8_t)second;
	begins[at / 8] |= (uint8_t)(1 << at % 8);
}

static void begins_make(void)
{
	for (size_t i = 0; i < scan_rule_count; i++)
		begin_add(scan_rules[i].prefix[0], scan_rules[i].prefix[1]);
	begin_add(key_block[0], key_block[1]);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		for (int upper = 0; upper < 4; upper++)
			begin_add((char)(words[i][0] - (upper & 1 ? 32 : 0)),
				  (char)(words[i][1] - (upper & 2 ? 32 : 0)));
}

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* ---- what does not alarm ---- */

static bool contains(struct slice text, const char *word)
{
	size_t len = strlen(word);
	for (size_t i = 0; i + len <= text.len; i++)
		if (strncasecmp(text.ptr + i, word, len) == 0)
			return true;
	return false;
}

static bool is_lock_file(struct slice path)
{
	static const char *const endings[] = {"package-lock.json", "yarn.lock",	   "pnpm-lock.yaml",
					      "composer.lock",	   "Cargo.lock",   "go.sum",
					      "poetry.lock",	   "Gemfile.lock", ".map"};
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (slice_ends_with(path, endings[i]))
			return true;
	return false;
}

static bool is_test_data(struct slice path)
{
	static const char *const parts[] = {"test/",  "tests/",	 "__tests__/", "fixture",     "testdata/",
					    "spec/",  "example", "docs/",      "sample",      ".md",
					    ".test.", ".spec.",	 "mock",       "conformance/"};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (contains(path, parts[i]))
			return true;
	return false;
}

static bool is_placeholder(struct slice value)
{
	static const char *const parts[] = {
		"example", "placeholder", "changeme", "change-me", "change_me", "your", "xxxx", "dummy",
		"sample",  "insert",	  "1234567",  "abcdef",	   "${",	"{{",	"<%",	"redacted"};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (contains(value, parts[i]))
			return true;
	return false;
}

static double entropy(struct slice value)
{
	unsigned counts[256] = {0};
	double bits = 0;

	for (size_t i = 0; i < value.len; i++)
		counts[(uint8_t)value.ptr[i]]++;
	for (size_t i = 0; i < 256; i++)
		if (counts[i]) {
			double share = (double)counts[i] / (double)value.len;
			bits -= share * log2(share);
		}
	return bits;
}

/* ---- findings ---- */

struct place {
	struct scan_findings *findings;
	struct slice path, bytes;
	bool test_data;
	size_t counted; /* lines are counted only when something is found */
	uint32_t line;
};

static void add(struct place *place, size_t at, const char *rule, const char *service,
		enum scan_environment environment, const char *shown)
{
	struct scan_findings *findings = place->findings;

	for (; place->counted < at; place->counted++)
		place->line += place->bytes.ptr[place->counted] == '\n';
	if (findings->count == SCAN_FINDINGS_MAX) {
		findings->dropped++;
		return;
	}
	findings->items[findings->count++] = (struct scan_finding){
		.path = arena_str(findings->arena, place->path),
		.line = place->line,
		.rule = rule,
		.service = service,
		.shown = shown,
		.environment = environment,
	};
}

static size_t try_rule(struct place *place, size_t at, const struct scan_rule *rule)
{
	struct slice rest = slice_skip(place->bytes, at);
	size_t prefix = strlen(rule->prefix), len = 0;

	if (!slice_starts_with(rest, rule->prefix))
		return 0;
	rest = slice_skip(rest, prefix);
	while (len < rest.len && len <= rule->most &&
	       (is_letter_or_digit(rest.ptr[len]) || (rest.ptr[len] && strchr(rule->more, rest.ptr[len]))))
		len++;
	if (len < rule->least || len > rule->most)
		return 0;
	rest.len = len;
	if (rule->check ? !rule->check(rest) : is_placeholder(rest) || entropy(rest) < (len > 20 ? 3.0 : 2.5))
		return 0;
	if (place->test_data && !rule->check && rule->environment != SCAN_LIVE)
		return 0;
	add(place, at, rule->name, rule->service, rule->environment,
	    arena_printf(place->findings->arena, "%s%.4s…", rule->prefix, rest.ptr));
	return prefix + len;
}

/* "-----BEGIN RSA PRIVATE KEY-----" with a body behind it; code that looks for the words
 * has none. */
static size_t try_key_block(struct place *place, size_t at)
{
	struct slice rest = slice_skip(place->bytes, at), line = rest;
	size_t body = 0;

	if (place->test_data || !slice_starts_with(rest, key_block))
		return 0;
	line = slice_cut(&rest, '\n');
	if (!slice_ends_with(slice_trim(line), "PRIVATE KEY-----"))
		return 0;
	while (body < rest.len && (is_letter_or_digit(rest.ptr[body]) || strchr("+/=\r\n", rest.ptr[body])))
		body++;
	if (body < 64)
		return 0;
	add(place, at, "private-key", "private key", SCAN_ANY,
	    arena_str(place->findings->arena, slice_trim(line)));
	return line.len;
}

/* NAME = "value": the name speaks of a secret, the value looks like one. */
static bool looks_secret(struct slice value)
{
	size_t digits = 0, letters = 0;

	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		if (!is_letter_or_digit(c) && (!c || !strchr("+/=_-.~!@#%^&*", c)))
			return false;
		digits += c >= '0' && c <= '9';
		letters += is_letter_or_digit(c) && !(c >= '0' && c <= '9');
	}
	return value.len >= VALUE_LEAST && value.len <= VALUE_MOST && digits >= 3 && letters >= 3 &&
	       !is_placeholder(value) && entropy(value) >= (value.len >= 24 ? 3.5 : 3.2);
}

static bool is_settings(struct slice path)
{
	static const char *const endings[] = {".env", ".ini",  ".properties", ".conf",
					      ".cfg", ".toml", ".yml",	      ".yaml"};
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (slice_ends_with(path, endings[i]))
			return true;
	return contains(path, ".env.");
}

static size_t try_word(struct place *place, size_t at)
{
	struct slice bytes = place->bytes;
	size_t i = at, start = at;
	bool found = false;

	for (size_t w = 0; w < ARRAY_LEN(words) && !found; w++)
		/* Letters differ in one bit by case; most places fail at the third. */
		found = bytes.len - at > strlen(words[w]) && (bytes.ptr[at] | 32) == words[w][0] &&
			(bytes.ptr[at + 1] | 32) == words[w][1] && (bytes.ptr[at + 2] | 32) == words[w][2] &&
			strncasecmp(bytes.ptr + at, words[w], strlen(words[w])) == 0;
	if (!found || place->test_data)
		return 0;
	while (start > 0 && at - start < 64 &&
	       (is_letter_or_digit(bytes.ptr[start - 1]) || bytes.ptr[start - 1] == '_'))
		start--;
	while (i < bytes.len && i - at < 64 && (is_letter_or_digit(bytes.ptr[i]) || bytes.ptr[i] == '_'))
		i++;
	struct slice name = slice_make(bytes.ptr + start, i - start);
	if (contains(name, "public") || contains(name, "hash") || contains(name, "tokenizer"))
		return i - at;
	if (i < bytes.len && (bytes.ptr[i] == '"' || bytes.ptr[i] == '\''))
		i++;
	while (i < bytes.len && bytes.ptr[i] == ' ')
		i++;
	if (i >= bytes.len || (bytes.ptr[i] != '=' && bytes.ptr[i] != ':'))
		return 0;
	i++;
	while (i < bytes.len && (bytes.ptr[i] == ' ' || bytes.ptr[i] == '>'))
		i++;
	if (i >= bytes.len)
		return 0;
	char quote = bytes.ptr[i] == '"' || bytes.ptr[i] == '\'' ? bytes.ptr[i] : 0;
	if (!quote && !is_settings(place->path))
		return 0;
	i += quote != 0;
	size_t end = i;
	while (end < bytes.len && end - i <= VALUE_MOST && bytes.ptr[end] != '\n' && bytes.ptr[end] != '\r' &&
	       (quote ? bytes.ptr[end] != quote : bytes.ptr[end] != ' '))
		end++;
	/* Minified code is full of strings under names like these. */
	const char *line_end = memchr(bytes.ptr + at, '\n', MIN(bytes.len - at, (size_t)LINE_LONG));
	if (!looks_secret(slice_make(bytes.ptr + i, end - i)) || (!line_end && bytes.len - at > LINE_LONG))
		return 0;
	/* A known format says more: it is found when its own beginning is reached. */
	for (size_t r = 0; r < scan_rule_count; r++)
		if (slice_starts_with(slice_make(bytes.ptr + i, end - i), scan_rules[r].prefix))
			return i - at;
	add(place, at, "high-entropy", "a value under a name of a secret", SCAN_ANY,
	    arena_str(place->findings->arena, name));
	return end - at;
}

void scan_bytes(struct scan_findings *findings, struct slice path, struct slice bytes)
{
	struct place place = {.findings = findings, .path = path, .bytes = bytes, .line = 1};

	pthread_once(&begins_once, begins_make);
	findings->files++;
	findings->bytes += bytes.len;
	if (is_lock_file(path) || (bytes.len && memchr(bytes.ptr, '\0', MIN(bytes.len, (size_t)LOOK_BINARY))))
		return;
	place.test_data = is_test_data(path);
	for (size_t i = 0; i + 1 < bytes.len; i++) {
		unsigned at = (unsigned)(uint8_t)bytes.ptr[i] << 8 | (uint8_t)bytes.ptr[i + 1];
		if (!(begins[at / 8] & 1 << at % 8))
			continue;
		size_t took = 0;
		bool inside = i > 0 && (is_letter_or_digit(bytes.ptr[i - 1]) || bytes.ptr[i - 1] == '_');
		for (size_t r = 0; r < scan_rule_count && !took && !inside; r++)
			if (scan_rules[r].prefix[0] == bytes.ptr[i] &&
			    scan_rules[r].prefix[1] == bytes.ptr[i + 1])
				took = try_rule(&place, i, &scan_rules[r]);
		took = took ? took : try_key_block(&place, i);
		took = took ? took : try_word(&place, i);
		i += took ? took - 1 : 0;
	}
}

int scan_release(struct store *store, const struct manifest *manifest, struct scan_findings *findings,
		 struct err *err)
{
	AUTO(map_free) struct map seen = MAP_INIT;

	for (size_t i = 0; i < manifest->count; i++) {
		const struct entry *entry = &manifest->entries[i];
		AUTO(arena_free) struct arena content = ARENA_INIT;
		struct slice bytes;
		if (entry->type != ENTRY_FILE || entry->size > SCAN_FILE_MAX ||
		    map_put(&seen, slice_make(entry->digest.bytes, DIGEST_LEN), store))
			continue;
		if (store_load_object(store, &entry->digest, SCAN_FILE_MAX, &content, &bytes, err))
			return err_wrap(err, "looking for secrets in %.*s", SLICE_ARG(entry->path));
		scan_bytes(findings, entry->path, bytes);
	}
	return 0;
}

struct walk {
	struct scan_findings *findings;
	int dir_fd;
	const char *path; /* of the folder, "" at the top */
	unsigned depth;
};

static int visit(void *context, const char *name, struct err *err)
{
	const struct walk *walk = context;
	struct arena *arena = walk->findings->arena;
	struct stat status;

	if (strcmp(name, ".git") == 0 || fstatat(walk->dir_fd, name, &status, AT_SYMLINK_NOFOLLOW))
		return 0;
	const char *path = arena_printf(arena, "%s%s%s", walk->path, *walk->path ? "/" : "", name);
	if (S_ISDIR(status.st_mode)) {
		if (strcmp(name, "node_modules") == 0 || walk->depth == 200)
			return 0;
		AUTO(close_fd)
		int fd = openat(walk->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		struct walk below = {walk->findings, fd, path, walk->depth + 1};
		return fd < 0 ? err_errno(err, "%s", path) : dir_each_at(fd, ".", visit, &below, err);
	}
	if (!S_ISREG(status.st_mode) || status.st_size > SCAN_FILE_MAX)
		return 0;
	AUTO(buf_free) struct buf bytes = BUF_INIT(SCAN_FILE_MAX + 1);
	AUTO(close_fd) int fd = openat(walk->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "%s", path);
	if (fd_read_all(fd, &bytes, err))
		return err_wrap(err, "%s", path);
	scan_bytes(walk->findings, slice_of(path), buf_slice(&bytes));
	return 0;
}

int scan_folder(int dir_fd, struct scan_findings *findings, struct err *err)
{
	struct walk walk = {findings, dir_fd, "", 0};

	return dir_each_at(dir_fd, ".", visit, &walk, err);
}

void scan_apply_allowed(struct scan_findings *findings, const struct scan_allowed *allowed, size_t count,
			int64_t now_ms, bool *lapsed)
{
	size_t kept = 0;

	for (size_t i = 0; i < findings->count; i++) {
		const struct scan_finding *finding = &findings->items[i];
		bool drop = false;
		for (size_t a = 0; a < count; a++) {
			bool matches = slice_glob_match(slice_of(allowed[a].path), slice_of(finding->path)) &&
				       (!allowed[a].rule || strcmp(allowed[a].rule, finding->rule) == 0);
			drop = drop || (matches && now_ms < allowed[a].until_ms);
			if (lapsed && matches && now_ms >= allowed[a].until_ms)
				lapsed[a] = true;
		}
		if (!drop)
			findings->items[kept++] = *finding;
	}
	findings->count = kept;
}
