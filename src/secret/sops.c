/* The provider `sops:`: files encrypted with SOPS whose data key is encrypted with age.
 * Names stand in them in clear. A value is
 *
 *	ENC[AES256_GCM,data:BASE64,iv:BASE64,tag:BASE64,type:str|int|float|bool|bytes]
 *
 * with the path of its keys, each followed by ':', as associated data. What the file as
 * a whole says is bound by the SHA-512 of all values in order (upper-case hexadecimal),
 * itself encrypted like a value, with the time of the last change as associated data.
 * The data key is had from the age program; keys of age are never an argument. */
#include "base/child.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/wipe.h"
#include "codec/aes_gcm.h"
#include "codec/sha512.h"
#include "doc/yaml.h"
#include "secret/decode.h"
#include "secret/list.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATH_LEN_MAX = 4096, AGE_MS = 20000, RECIPIENTS_MAX = 32 };

static const char *check(struct slice url)
{
	static const char *const endings[] = {".yaml", ".yml", ".json", ".env"};

	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		if (slice_ends_with(url, endings[i]))
			return provider_check_file(url);
	return "the file's name must end in .yaml, .yml, .json or .env, which tells its form";
}

struct metadata {
	struct slice mac, modified;
	struct slice age[RECIPIENTS_MAX]; /* armoured data keys, one a recipient */
	size_t age_count;
	const char *other; /* a kind of key that is not read here; NULL */
	bool mac_only_encrypted, key_groups;
};

struct reading {
	const struct provider_call *call;
	const char *shown;
	struct metadata metadata;
	struct provider_entries *out;
	size_t room;
	uint8_t key[AES_GCM_KEY_LEN];
	bool has_key; /* no need of age */
	struct sha512_stream sum;
};

/* ---- values ---- */

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool base64_decode(struct arena *arena, struct slice text, struct slice *out)
{
	size_t padding = 0, len = 0;
	uint32_t bits = 0;

	if (text.len % 4)
		return false;
	while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	char *bytes = arena_alloc(arena, text.len / 4 * 3 + 1);
	for (size_t i = 0; i < text.len; i++) {
		int digit = i >= text.len - padding ? 0 : base64_digit(text.ptr[i]);
		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4 == 3)
			for (int shift = 16; shift >= 0; shift -= 8)
				bytes[len++] = (char)(bits >> shift & 0xff);
	}
	*out = slice_make(bytes, len - padding);
	return true;
}

struct sealed {
	struct slice data, iv, tag, type;
};

static bool is_sealed(struct slice text)
{
	return slice_starts_with(text, "ENC[") && slice_ends_with(text, "]");
}

static bool sealed_parse(struct arena *arena, struct slice text, struct sealed *out)
{
	struct slice rest = slice_make(text.ptr + 4, text.len - 5);
	bool fine = slice_is(slice_cut(&rest, ','), "AES256_GCM");

	*out = (struct sealed){0};
	while (fine && rest.ptr) {
		struct slice value = slice_cut(&rest, ',');
		struct slice name = slice_cut(&value, ':');
		if (slice_is(name, "type"))
			out->type = value;
		else
			fine = slice_is(name, "data")  ? base64_decode(arena, value, &out->data)
			       : slice_is(name, "iv")  ? base64_decode(arena, value, &out->iv)
			       : slice_is(name, "tag") ? base64_decode(arena, value, &out->tag)
						       : false;
	}
	return fine && out->iv.len && out->iv.len <= AES_GCM_IV_MAX && out->tag.len == AES_GCM_TAG_LEN;
}

/* The value in the safe; *type as the file says. */
static int open_sealed(struct reading *reading, struct slice text, struct slice path, const char *place,
		       struct secret *out, struct slice *type, struct err *err)
{
	struct sealed sealed;

	if (!sealed_parse(reading->call->arena, text, &sealed))
		return err_set(err, ERR_USER, "SOPS: %s: a malformed encrypted value", place);
	char *bytes = safe_reserve(reading->call->safe, sealed.data.len, out, err);
	if (!bytes)
		return err_wrap(err, "SOPS: %s", place);
	*type = sealed.type;
	if (aes_gcm_open(reading->key, sealed.iv, path, sealed.data, (const uint8_t *)sealed.tag.ptr, bytes,
			 err)) {
		err_wrap(err, "SOPS: %s", place);
		return err_hint(err,
				"a value that was moved to another key, or edited by hand, does not open");
	}
	safe_trim(out, sealed.data.len);
	return 0;
}

static struct provider_entry *entry_add(struct reading *reading)
{
	if (reading->out->count == reading->room) {
		size_t room = reading->room ? 2 * reading->room : 64;
		struct provider_entry *items =
			ARENA_NEW_ARRAY(reading->call->arena, room, struct provider_entry);
		if (reading->room)
			memcpy(items, reading->out->items, reading->room * sizeof(*items));
		reading->out->items = items;
		reading->room = room;
	}
	return &reading->out->items[reading->out->count++];
}

/* One leaf. `path` as in the associated data: "db:password:". */
static int leaf(struct reading *reading, struct slice path, struct slice text, enum node_kind kind,
		bool boolean, uint32_t line, const char *name, struct err *err)
{
	const struct provider_call *call = reading->call;
	bool sealed = is_sealed(text);
	const char *place = arena_printf(call->arena, "%s:%u", reading->shown, line);
	struct secret value = {NULL};
	struct slice type = SLICE("str");

	if (!call->names_only && sealed) {
		if (open_sealed(reading, text, path, place, &value, &type, err))
			return -1;
		sha512_update(&reading->sum, secret_reveal(value));
		if (slice_is(type, "bool") &&
		    safe_put(call->safe,
			     slice_is(secret_reveal(value), "True") ? SLICE("true") : SLICE("false"), &value,
			     err))
			return -1;
	} else if (!call->names_only) {
		sha512_update(&reading->sum,
			      kind == NODE_BOOL ? (boolean ? SLICE("True") : SLICE("False")) : text);
		if (safe_put(call->safe, text, &value, err))
			return err_wrap(err, "SOPS: %s", place);
	}
	if (!name)
		return 0;
	*entry_add(reading) = (struct provider_entry){
		.name = name,
		.value = value,
		.place = place,
		.plain = !sealed && text.len,
	};
	return reading->out->count > PROVIDER_ENTRIES_MAX
		       ? err_set(err, ERR_USER, "SOPS: %s: more than %d values", reading->shown,
				 PROVIDER_ENTRIES_MAX)
		       : 0;
}

/* ---- YAML and JSON ---- */

/* Values in lists have the path of the list, and are no variables. */
static int walk(struct reading *reading, const struct node *node, struct buf *path, bool top, bool in_list,
		struct err *err)
{
	if (node->kind == NODE_LIST) {
		for (size_t i = 0; i < node->count; i++)
			if (walk(reading, node->items[i].value, path, false, true, err))
				return -1;
		return 0;
	}
	if (node->kind == NODE_MAP) {
		for (size_t i = 0; i < node->count; i++) {
			size_t before = path->len;
			if (top && slice_is(node->entries[i].key, "sops"))
				continue;
			buf_put_slice(path, node->entries[i].key);
			buf_putc(path, ':');
			if (buf_check(path, "the path of a key", err) ||
			    walk(reading, node->entries[i].value, path, false, in_list, err))
				return -1;
			path->len = before;
		}
		return 0;
	}
	if (node->kind == NODE_NULL)
		return 0;
	char *name = NULL;
	if (!in_list) {
		name = arena_str(reading->call->arena, slice_make(path->ptr, path->len - 1));
		for (char *c = name; *c; c++)
			*c = *c == ':' ? '/' : *c;
	}
	return leaf(reading, buf_slice(path), node->text, node->kind, node->boolean, node->origin.line, name,
		    err);
}

static void tree_metadata(const struct node *sops, struct metadata *out)
{
	static const char *const others[] = {"kms", "gcp_kms", "azure_kv", "hc_vault", "pgp"};
	const struct node *mac = node_get(sops, "mac"), *modified = node_get(sops, "lastmodified");
	const struct node *age = node_get(sops, "age"), *only = node_get(sops, "mac_only_encrypted");
	const struct node *groups = node_get(sops, "key_groups");

	out->mac = mac ? mac->text : SLICE("");
	out->modified = modified ? modified->text : SLICE("");
	out->mac_only_encrypted = only && only->kind == NODE_BOOL && only->boolean;
	out->key_groups = groups && groups->kind == NODE_LIST && groups->count > 0;
	for (size_t i = 0; age && age->kind == NODE_LIST && i < age->count && out->age_count < RECIPIENTS_MAX;
	     i++) {
		const struct node *enc = node_get(age->items[i].value, "enc");
		if (enc && enc->kind == NODE_STR)
			out->age[out->age_count++] = enc->text;
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		const struct node *other = node_get(sops, others[i]);
		if (other && other->kind == NODE_LIST && other->count)
			out->other = others[i];
	}
}

/* ---- .env: every line is KEY=VALUE as it is; \n stands for a line break ---- */

static struct slice unescape(struct arena *arena, struct slice text)
{
	char *out = arena_alloc(arena, text.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		bool escape = text.ptr[i] == '\\' && i + 1 < text.len && text.ptr[i + 1] == 'n';
		out[len++] = escape ? '\n' : text.ptr[i];
		i += escape;
	}
	return slice_make(out, len);
}

static void line_metadata(struct arena *arena, struct slice key, struct slice value, struct metadata *out)
{
	key = slice_skip(key, 5);
	if (slice_is(key, "mac"))
		out->mac = value;
	else if (slice_is(key, "lastmodified"))
		out->modified = value;
	else if (slice_is(key, "mac_only_encrypted"))
		out->mac_only_encrypted = slice_is(value, "true");
	else if (slice_starts_with(key, "key_groups__"))
		out->key_groups = true;
	else if (slice_starts_with(key, "age__list_") && slice_ends_with(key, "__map_enc") &&
		 out->age_count < RECIPIENTS_MAX)
		out->age[out->age_count++] = unescape(arena, value);
	else if (slice_starts_with(key, "kms__") || slice_starts_with(key, "gcp_kms__") ||
		 slice_starts_with(key, "azure_kv__") || slice_starts_with(key, "hc_vault__") ||
		 slice_starts_with(key, "pgp__"))
		out->other = "kms, gcp_kms, azure_kv, hc_vault or pgp";
}

/* Twice: first (`values` false) for the metadata, which stand at the end. */
static int walk_lines(struct reading *reading, struct slice text, bool values, struct err *err)
{
	struct arena *arena = reading->call->arena;
	uint32_t number = 0;

	while (text.ptr) {
		struct slice value = slice_cut(&text, '\n');
		number++;
		if (value.len == 0 || value.ptr[0] == '#')
			continue;
		struct slice key = slice_cut(&value, '=');
		if (!value.ptr)
			return err_set(err, ERR_USER, "SOPS: %s:%u: a line without =", reading->shown,
				       number);
		bool meta = slice_starts_with(key, "sops_");
		if (meta && !values)
			line_metadata(arena, key, value, &reading->metadata);
		if (meta || !values)
			continue;
		struct slice path = slice_of(arena_printf(arena, "%.*s:", SLICE_ARG(key)));
		if (leaf(reading, path, unescape(arena, value), NODE_STR, false, number,
			 arena_str(arena, key), err))
			return -1;
	}
	return 0;
}

/* ---- the data key ---- */

/* Where the keys of age are: a file's path, or a descriptor with them. */
static int identity_find(const struct provider_call *call, const char **path, int *fd_out, struct err *err)
{
	const char *key = getenv("SOPS_AGE_KEY"), *file = getenv("SOPS_AGE_KEY_FILE");
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (key && *key) {
		int ends[2];
		struct slice text = slice_of(key);
		if (text.len > 16 << 10)
			return err_set(err, ERR_USER, "SOPS: SOPS_AGE_KEY is longer than 16 KiB");
		if (pipe2(ends, O_CLOEXEC))
			return err_errno(err, "pipe");
		AUTO(close_fd) int write_end = ends[1]; /* what a pipe holds at least is more than this */
		*fd_out = ends[0];
		*path = arena_printf(call->arena, "/dev/fd/%d", ends[0]);
		return fd_write_all(write_end, text.ptr, text.len, err) ||
		       fd_write_all(write_end, "\n", 1, err);
	}
	if (file && *file)
		*path = file;
	else if (config && *config)
		*path = arena_printf(call->arena, "%s/sops/age/keys.txt", config);
	else
		*path = arena_printf(call->arena, "%s/.config/sops/age/keys.txt", home ? home : "");
	if (access(*path, R_OK) == 0)
		return 0;
	err_errno(err, "SOPS: no key of age: %s", *path);
	err->code = ERR_DENIED;
	return err_hint(
		err,
		"set SOPS_AGE_KEY_FILE to the file of the age identity, or SOPS_AGE_KEY to the identity");
}

static int key_decrypt(struct reading *reading, struct slice armoured, bool *opened, struct err *err)
{
	AUTO(buf_wipe_free) struct buf out = BUF_SECRET(4096);
	AUTO(buf_free) struct buf errors = BUF_INIT(64 << 10);
	AUTO(close_fd) int identity_fd = -1;
	const char *identity = NULL, *path = getenv("PATH"), *home = getenv("HOME");
	struct arena *arena = reading->call->arena;
	int status;

	if (identity_find(reading->call, &identity, &identity_fd, err))
		return -1;
	const char *const argv[] = {"age", "-d", "-i", identity, NULL};
	/* Not ours: it may hold the key itself, and other credentials. */
	const char *const env[] = {
		arena_printf(arena, "PATH=%s", path ? path : "/usr/local/bin:/usr/bin:/bin"),
		arena_printf(arena, "HOME=%s", home ? home : "/"), NULL};
	struct child_spec spec = {.argv = argv,
				  .env = env,
				  .die_with_us = true,
				  .pass_fds = &identity_fd,
				  .pass_fd_count = identity_fd >= 0};
	if (child_run(&spec, armoured, &out, &errors, AGE_MS, &status, err)) {
		if (err->code == ERR_NOT_FOUND)
			err_hint(err, "install age (the Debian package `age`)");
		return err_wrap(err, "SOPS: the age program");
	}
	*opened = status == 0 && out.len == AES_GCM_KEY_LEN;
	if (*opened)
		memcpy(reading->key, out.ptr, AES_GCM_KEY_LEN);
	return 0;
}

static int key_obtain(struct reading *reading, struct err *err)
{
	const struct metadata *metadata = &reading->metadata;
	bool opened = reading->has_key;

	if (metadata->key_groups)
		return err_set(err, ERR_USER, "SOPS: %s: key groups (Shamir's sharing) are not read here",
			       reading->shown);
	if (metadata->mac_only_encrypted)
		return err_set(
			err, ERR_USER,
			"SOPS: %s: mac_only_encrypted is not read here: values in clear would be unprotected",
			reading->shown);
	if (metadata->age_count == 0 && metadata->other) {
		err_set(err, ERR_USER, "SOPS: %s is encrypted with %s; only age is read here", reading->shown,
			metadata->other);
		return err_hint(err, "add an age recipient: sops rotate -i --add-age RECIPIENT FILE; or use "
				     "command:sops -d FILE");
	}
	if (metadata->age_count == 0)
		return err_set(err, ERR_USER,
			       "SOPS: %s is not a file of SOPS: it holds no encrypted data key",
			       reading->shown);
	for (size_t i = 0; i < metadata->age_count && !opened; i++)
		if (key_decrypt(reading, metadata->age[i], &opened, err))
			return -1;
	if (opened)
		return 0;
	err_set(err, ERR_DENIED, "SOPS: %s: no key of age at hand opens it (%zu recipients)", reading->shown,
		metadata->age_count);
	return err_hint(err,
			"SOPS_AGE_KEY_FILE or SOPS_AGE_KEY must hold the identity of one of its recipients");
}

static int check_sum(struct reading *reading, struct err *err)
{
	struct secret stored;
	struct slice type;
	uint8_t sum[SHA512_LEN];
	char hex[2 * SHA512_LEN + 1];

	sha512_finish(&reading->sum, sum);
	for (size_t i = 0; i < SHA512_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02X", sum[i]);
	if (!is_sealed(reading->metadata.mac))
		return err_set(err, ERR_USER, "SOPS: %s has no checksum (mac) over its values",
			       reading->shown);
	if (open_sealed(reading, reading->metadata.mac, reading->metadata.modified,
			arena_printf(reading->call->arena, "%s: its checksum (mac)", reading->shown), &stored,
			&type, err))
		return -1;
	if (slice_is(secret_reveal(stored), hex))
		return 0;
	err_set(err, ERR_DENIED,
		"SOPS: %s: its checksum does not fit: a value was changed, added or taken away by hand",
		reading->shown);
	return err_hint(err, "change it with sops, which computes the checksum anew");
}

/* ---- reading ---- */

static int read_tree(struct reading *reading, struct slice text, struct err *err)
{
	struct arena *arena = reading->call->arena;
	struct diags *diags = ARENA_NEW(arena, struct diags);
	AUTO(buf_free) struct buf path = BUF_INIT(PATH_LEN_MAX);
	struct yaml_limits limits = YAML_LIMITS;
	const struct node *root;

	*diags = DIAGS_INIT(arena);
	if (yaml_parse(arena, reading->shown, text, &limits, &root, diags))
		return diags_check(diags, reading->shown, err);
	const struct node *sops = node_get(root, "sops");
	if (!sops || sops->kind != NODE_MAP)
		return err_set(err, ERR_USER, "SOPS: %s is not a file of SOPS: it has no key `sops`",
			       reading->shown);
	tree_metadata(sops, &reading->metadata);
	if (!reading->call->names_only && key_obtain(reading, err))
		return -1;
	return walk(reading, root, &path, true, false, err);
}

static int read_lines(struct reading *reading, struct slice text, struct err *err)
{
	if (walk_lines(reading, text, false, err) || (!reading->call->names_only && key_obtain(reading, err)))
		return -1;
	return walk_lines(reading, text, true, err);
}

static int take_file(struct reading *reading, struct slice text, struct err *err)
{
	struct provider_entries *out = reading->out;
	int64_t changed_ms = 0;

	sha512_init(&reading->sum);
	if (slice_ends_with(slice_of(reading->shown), ".env") ? read_lines(reading, text, err)
							      : read_tree(reading, text, err))
		return -1;
	if (!reading->call->names_only && check_sum(reading, err))
		return -1;
	if (clock_parse_iso(reading->metadata.modified, &changed_ms))
		for (size_t i = 0; i < out->count; i++)
			out->items[i].changed_ms = changed_ms;
	return 0;
}

int sops_decode(const struct provider_call *call, const uint8_t key[AES_GCM_KEY_LEN], struct slice text,
		struct provider_entries *out, struct err *err)
{
	struct reading reading = {.call = call, .out = out, .has_key = true};

	provider_file_of(call, &reading.shown);
	memcpy(reading.key, key, sizeof(reading.key));
	int status = take_file(&reading, text, err);
	wipe_bytes(&reading.key, sizeof(reading.key));
	return status;
}

static int read_sops(const struct provider_call *call, struct provider_entries *out, struct err *err)
{
	AUTO(buf_wipe_free) struct buf text = BUF_SECRET(PROVIDER_BODY_MAX);
	struct reading reading = {.call = call, .out = out};

	provider_file_of(call, &reading.shown);
	if (provider_read_file(call, "SOPS", &text, err))
		return -1;
	int status = take_file(&reading, buf_slice(&text), err);
	wipe_bytes(&reading.key, sizeof(reading.key));
	return status ? -1 : provider_map_entries(call, out, err);
}

const struct provider provider_sops = {
	.scheme = "sops",
	.name = "SOPS file",
	.summary = "a YAML, JSON or .env file encrypted with SOPS and age",
	.form = "sops:PATH",
	.example = "sops:deploy/production.enc.yaml",
	.more = "Names need no key. Values need the age program, and the identity in `SOPS_AGE_KEY_FILE`, "
		"`SOPS_AGE_KEY` or "
		"`~/.config/sops/age/keys.txt`. Keys in deeper maps are called `db/password` and need "
		"`keys`; values in lists "
		"are no variables.",
	.local = true,
	.check = check,
	.read = read_sops,
};
