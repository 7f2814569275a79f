/* What starts by itself: units of systemd with their drop-ins, programs of supervisord,
 * lines of cron. Units are read as files, so that they are seen where systemd does not run;
 * only what is active is asked of it. */
#include "probe/helper.h"
#include "probe/kinds.h"
#include "probe/parse.h"

#include "base/fd.h"
#include "base/map.h"
#include "codec/reload_spec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { UNITS_MAX = 400, UNIT_FILE_MAX = 256 << 10, CRON_FILES_MAX = 1000 };

#define UNIT_ETC "/etc/systemd/system"

struct unit {
	const char *name;
	bool ours;  /* of the application's reloads */
	bool local; /* its file is none of a package's */
	bool enabled, masked;
};

struct units {
	struct probe_sink *sink;
	struct names names;
	struct unit items[UNITS_MAX];
	size_t count;
	struct map by_name;
	size_t cron_files;
};

static bool is_unit_name(struct slice name)
{
	static const char *const endings[] = {".service", ".timer",  ".socket", ".path",
					      ".mount",	  ".target", ".slice"};
	bool known = false;

	for (size_t i = 0; i < name.len; i++)
		if (!((name.ptr[i] >= 'a' && name.ptr[i] <= 'z') ||
		      (name.ptr[i] >= 'A' && name.ptr[i] <= 'Z') ||
		      (name.ptr[i] >= '0' && name.ptr[i] <= '9') || strchr(":-_.\\@", name.ptr[i])))
			return false;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		known |= slice_ends_with(name, endings[i]);
	return known && name.len < 200 && *name.ptr != '-' && *name.ptr != '.';
}

static struct unit *unit_of(struct units *units, struct slice name)
{
	struct unit *unit = map_get(&units->by_name, name);

	if (unit || units->count == UNITS_MAX || !is_unit_name(name))
		return unit;
	unit = &units->items[units->count++];
	unit->name = arena_str(&units->sink->arena, name);
	map_put(&units->by_name, slice_of(unit->name), unit);
	return unit;
}

/* Content of a file that may say passwords: by fingerprint where it sets variables. */
static void put_content(struct probe_sink *sink, struct slice key, const char *path)
{
	const char *why;
	struct slice text = probe_file(sink, path, UNIT_FILE_MAX, &why);
	struct digest digest;

	if (!text.ptr) {
		probe_skip(sink, key, "%s: %s", path, why);
	} else if (slice_glob_match(SLICE("*[Ee]nvironment=*"), text) ||
		   slice_glob_match(SLICE("*[Pp]assw*"), text)) {
		/* What is kept of a secret stands beside it, which of drop-ins would be one for all. */
		struct probe_request request = *sink->request;
		const struct probe_request *whole = sink->request;
		request.has_kept_key &= !slice_glob_match(SLICE("*/dropin/*"), key);
		sink->request = &request;
		probe_secret(sink, key, text);
		sink->request = whole;
	} else {
		digest_of(text, &digest);
		probe_digest(sink, key, &digest);
	}
}

/* ---- systemd, as files ---- */

struct visit {
	struct units *units;
	const char *folder;
};

static int visit_wanted(void *context, const char *name, struct err *err)
{
	const struct visit *visit = context;
	struct unit *unit = unit_of(visit->units, slice_of(name));

	(void)err;
	if (unit)
		unit->enabled = true;
	return 0;
}

static int visit_etc(void *context, const char *name, struct err *err)
{
	const struct visit *visit = context;
	struct err none = ERR_INIT;
	char path[PATH_MAX], target[PATH_MAX];
	struct stat st;

	(void)err;
	snprintf(path, sizeof(path), "%s/%s", visit->folder, name);
	if (lstat(path, &st) != 0)
		return 0;
	if (S_ISDIR(st.st_mode)) {
		struct slice whole = slice_of(name);
		if (slice_ends_with(whole, ".wants") || slice_ends_with(whole, ".requires")) {
			struct visit below = {visit->units, path};
			/* A folder that is gone or closed wants nothing we could say. */
			if (dir_each_at(AT_FDCWD, path, visit_wanted, &below, &none))
				return 0;
		} else if (slice_ends_with(whole, ".d")) {
			unit_of(visit->units, slice_make(name, whole.len - 2));
		}
		return 0;
	}
	struct unit *unit = unit_of(visit->units, slice_of(name));
	if (!unit)
		return 0;
	if (!S_ISLNK(st.st_mode)) {
		unit->local = true;
		return 0;
	}
	ssize_t len = readlink(path, target, sizeof(target));
	if (len > 0 && slice_is(slice_make(target, (size_t)len), "/dev/null"))
		unit->masked = true;
	else if (len > 0 && slice_glob_match(SLICE("*/systemd/system/*"), slice_make(target, (size_t)len)))
		unit->enabled = true; /* an alias */
	else
		unit->local = true;
	return 0;
}

/* "php8.3-fpm" of a reload is php8.3-fpm.service. */
static void take_reloads(struct units *units)
{
	const struct probe_request *request = units->sink->request;

	for (size_t i = 0; i < request->reload_count; i++) {
		struct slice name;
		if (!reload_spec_is(slice_of(request->reloads[i]), RELOAD_SYSTEMD, &name))
			continue;
		const char *full = arena_printf(&units->sink->arena, "%.*s%s", SLICE_ARG(name),
						is_unit_name(name) ? "" : ".service");
		struct unit *unit = unit_of(units, slice_of(full));
		if (unit)
			unit->ours = true;
	}
}

/* NULL: there is none. A template's instance "a@b.service" has the file "a@.service". */
static const char *fragment_of(struct units *units, const char *name)
{
	static const char *const folders[] = {UNIT_ETC, "/run/systemd/system",
					      "/usr/local/lib/systemd/system", "/lib/systemd/system",
					      "/usr/lib/systemd/system"};
	struct slice rest = slice_of(name), first = slice_cut(&rest, '@');
	const char *dot = strrchr(name, '.'), *names[2] = {name, NULL};

	if (rest.ptr && dot)
		names[1] = arena_printf(&units->sink->arena, "%.*s@%s", SLICE_ARG(first), dot);
	for (size_t n = 0; n < 2 && names[n]; n++)
		for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
			const char *path = arena_printf(&units->sink->arena, "%s/%s", folders[i], names[n]);
			if (access(path, F_OK) == 0)
				return path;
		}
	return NULL;
}

/* Where drop-ins lie, that of what `systemctl set-property` says first: of two with one name
 * the first counts (systemd.unit(5)). */
static const char *const dropin_folders[] = {"/etc/systemd/system.control", "/run/systemd/system.control",
					     UNIT_ETC, "/run/systemd/system"};

struct dropins {
	struct units *units;
	const char *unit;
	size_t folder;
};

static const char *dropin_path(const struct dropins *dropins, size_t folder, const char *name)
{
	return arena_printf(&dropins->units->sink->arena, "%s/%s.d/%s", dropin_folders[folder], dropins->unit,
			    name);
}

static int visit_dropin(void *context, const char *name, struct err *err)
{
	const struct dropins *dropins = context;
	struct probe_sink *sink = dropins->units->sink;

	(void)err;
	if (!slice_ends_with(slice_of(name), ".conf"))
		return 0;
	for (size_t i = 0; i < dropins->folder; i++)
		if (access(dropin_path(dropins, i, name), F_OK) == 0)
			return 0;
	put_content(sink, probe_key(sink, "unit/%s/dropin/%s", dropins->unit, name),
		    dropin_path(dropins, dropins->folder, name));
	return 0;
}

static void put_unit_files(struct units *units, const struct unit *unit)
{
	struct probe_sink *sink = units->sink;
	const char *fragment = fragment_of(units, unit->name), *state = "disabled", *why;
	struct dropins dropins = {units, unit->name, 0};

	if (unit->masked)
		state = "masked";
	else if (unit->enabled)
		state = "enabled";
	else if (!fragment)
		state = "not installed";
	else if (!slice_glob_match(SLICE("*[[]Install]*"), probe_file(sink, fragment, UNIT_FILE_MAX, &why)))
		state = "static";
	probe_str(sink, probe_key(sink, "unit/%s/enabled", unit->name), state);
	if (fragment && !unit->masked && (unit->local || unit->ours))
		put_content(sink, probe_key(sink, "unit/%s/fragment", unit->name), fragment);
	for (; dropins.folder < ARRAY_LEN(dropin_folders); dropins.folder++) {
		struct err none = ERR_INIT;
		if (dir_each_at(AT_FDCWD, dropin_path(&dropins, dropins.folder, ""), visit_dropin, &dropins,
				&none) &&
		    none.code == ERR_DENIED)
			probe_skip(sink, probe_key(sink, "unit/%s/dropin/", unit->name), "%s", none.text);
	}
}

static void look_at_files(struct units *units)
{
	struct err none = ERR_INIT;
	struct visit visit = {units, UNIT_ETC};

	take_reloads(units);
	if (dir_each_at(AT_FDCWD, UNIT_ETC, visit_etc, &visit, &none) && none.code != ERR_NOT_FOUND)
		probe_skip(units->sink, SLICE("unit/"), "%s", none.text);
	for (size_t i = 0; i < units->count; i++)
		put_unit_files(units, &units->items[i]);
}

/* ---- systemd, asked ---- */

/* An activation's name differs from server to server: what lies in one is said as `current`. */
static const char *program_name(struct units *units, struct slice path)
{
	const struct probe_request *request = units->sink->request;
	size_t len = request->live ? strlen(request->live) : 0;

	if (len && path.len > len && memcmp(path.ptr, request->live, len) == 0 && path.ptr[len] == '/')
		return arena_printf(&units->sink->arena, "current%.*s", SLICE_ARG(slice_skip(path, len)));
	return arena_str(&units->sink->arena, path);
}

static void put_main_exe(struct units *units, const struct parsed_unit *parsed, struct slice key)
{
	char path[64], target[PATH_MAX];
	ssize_t len = -1;

	if (parsed->main_pid) {
		snprintf(path, sizeof(path), "/proc/%llu/exe", (unsigned long long)parsed->main_pid);
		len = readlink(path, target, sizeof(target));
	}
	/* Of another user's process the unit's own word is all there is. */
	struct slice exe = len > 0 ? slice_make(target, (size_t)len) : parsed->exec;
	if (exe.len)
		probe_str(units->sink, key, program_name(units, exe));
	else if (parsed->main_pid)
		probe_skip(units->sink, key, "its process is another user's, and its unit does not say");
}

static void put_active(struct units *units, const struct parsed_unit *parsed)
{
	struct probe_sink *sink = units->sink;
	struct slice key = probe_key(sink, "unit/%.*s/active", SLICE_ARG(parsed->id));

	/* What runs once, on a timer, is active for moments. */
	if (slice_is(parsed->type, "oneshot"))
		probe_evidence(sink, key, parsed->active);
	else
		probe_text(sink, key, parsed->active);
	put_main_exe(units, parsed, probe_key(sink, "unit/%.*s/main_exe", SLICE_ARG(parsed->id)));
}

static void look_at_running(struct units *units)
{
	struct probe_sink *sink = units->sink;
	const char *argv[UNITS_MAX + 8] = {"systemctl", "show",
					   "--property=Id,ActiveState,Type,MainPID,ExecStart", "--"};
	const char *why = "systemd does not run here";
	struct parsed_unit parsed;
	struct slice text = {0};
	size_t count = 4;

	for (size_t i = 0; i < units->count; i++)
		/* A template runs only as an instance. */
		if (!strstr(units->items[i].name, "@."))
			argv[count++] = units->items[i].name;
	if (count == 4)
		return;
	if (access("/run/systemd/system", F_OK) == 0)
		text = probe_command(sink, argv, 8000, MIB(1), &why);
	if (!text.ptr) {
		for (size_t i = 0; i < units->count; i++)
			probe_skip(sink, probe_key(sink, "unit/%s/active", units->items[i].name), "%s", why);
		return;
	}
	while (parse_unit_next(&text, &parsed))
		if (map_get(&units->by_name, parsed.id))
			put_active(units, &parsed);
}

/* ---- supervisord ---- */

static int visit_supervisor(void *context, const char *name, struct err *err)
{
	const struct visit *visit = context;
	struct probe_sink *sink = visit->units->sink;

	(void)err;
	if (slice_ends_with(slice_of(name), ".conf") || slice_ends_with(slice_of(name), ".ini"))
		put_content(sink, probe_key(sink, "unit/supervisor:%s/fragment", name),
			    arena_printf(&sink->arena, "%s/%s", visit->folder, name));
	return 0;
}

static bool is_state(struct slice word)
{
	static const char *const states[] = {"STOPPED",	 "STARTING", "RUNNING", "BACKOFF",
					     "STOPPING", "EXITED",   "FATAL",	"UNKNOWN"};
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		known |= slice_is(word, states[i]);
	return known;
}

/* One line a process: "shop-worker:shop-worker_00   RUNNING   pid 1234, uptime 0:00:05", or for
 * a name that supervisord does not know: "shop-worker: ERROR (no such process)". */
static void put_program(struct probe_sink *sink, const char *program)
{
	enum { STATES_MAX = 200 };
	/* It ends with 3 when one of them does not run, with 4 when there is none. */
	static const char script[] =
		"supervisorctl status \"$1\"; case $? in 0 | 3 | 4) ;; *) exit 1 ;; esac";
	const char *argv[] = {"sh", "-c", script, "sh", program, NULL}, *why;
	struct slice key = probe_key(sink, "unit/supervisor:%s/active", program), states[STATES_MAX];
	struct slice text =
		program[0] == '-' ? (struct slice){0} : probe_command(sink, argv, 5000, KIB(64), &why);
	size_t count = 0;
	bool alike = true, absent = false;

	while (text.ptr && count < STATES_MAX) {
		struct slice line = slice_cut(&text, '\n');
		absent |= slice_glob_match(SLICE("*: ERROR (no such *)"), line);
		if (!parse_word(&line).len || !is_state(states[count] = parse_word(&line)))
			continue;
		alike &= slice_equal(states[count++], states[0]);
	}
	if (!count)
		probe_skip(sink, key, "%s",
			   absent ? "supervisord has no program of this name"
				  : "supervisorctl status does not tell us: supervisord's socket may be "
				    "root's alone");
	else if (alike)
		probe_text(sink, key, states[0]);
	else
		probe_words(sink, key, states, count);
}

static void look_at_supervisor(struct units *units)
{
	static const char *const folders[] = {"/etc/supervisor/conf.d", "/etc/supervisor",
					      "/etc/supervisord.d"};
	struct probe_sink *sink = units->sink;
	const struct probe_request *request = sink->request;

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		struct visit visit = {units, folders[i]};
		struct err none = ERR_INIT;
		if (dir_each_at(AT_FDCWD, folders[i], visit_supervisor, &visit, &none) &&
		    none.code == ERR_DENIED)
			probe_skip(sink, SLICE("unit/"), "%s", none.text);
	}
	for (size_t i = 0; i < request->reload_count; i++) {
		struct slice name;
		if (reload_spec_is(slice_of(request->reloads[i]), RELOAD_SUPERVISOR, &name))
			put_program(sink, arena_str(&sink->arena, name));
	}
}

/* ---- cron ---- */

static void put_crontab(struct units *units, const char *file, struct slice text, bool has_user)
{
	struct probe_sink *sink = units->sink;
	struct parsed_cron cron;

	for (int lines = 0; text.ptr && lines < 10000; lines++) {
		if (!parse_cron(slice_cut(&text, '\n'), has_user, &cron))
			continue;
		if (cron.name.len) {
			probe_secret(sink,
				     probe_key(sink, "unit/cron:%s/%.*s/value", file, SLICE_ARG(cron.name)),
				     cron.value);
			continue;
		}
		/* Named by its command, so that another time is a change and not another line. */
		AUTO(buf_free) struct buf plain = BUF_INIT(KIB(64));
		struct digest digest;
		char hex[DIGEST_HEX_LEN + 1];
		parse_cron_redact(cron.command, &plain);
		digest_of(buf_slice(&plain), &digest);
		digest_to_hex(&digest, hex);
		probe_str(sink, probe_key(sink, "unit/cron:%s/%.12s", file, hex),
			  cron.user.len ? arena_printf(&sink->arena, "%.*s as %.*s", SLICE_ARG(cron.schedule),
						       SLICE_ARG(cron.user))
					: arena_str(&sink->arena, cron.schedule));
		probe_secret(sink, probe_key(sink, "unit/cron:%s/%.12s/command", file, hex), cron.command);
		probe_evidence(sink, probe_key(sink, "unit/cron:%s/%.12s/shown", file, hex),
			       slice_make(buf_str(&plain), MIN(plain.len, (size_t)300)));
	}
}

static void read_crontab(struct units *units, const char *path, const char *shown, bool has_user)
{
	const char *why;
	struct slice text = probe_file(units->sink, path, UNIT_FILE_MAX, &why);

	if (text.ptr)
		put_crontab(units, shown, text, has_user);
	else if (access(path, F_OK) == 0)
		probe_skip(units->sink, probe_key(units->sink, "unit/cron:%s/", shown), "%s", why);
}

static int visit_cron_d(void *context, const char *name, struct err *err)
{
	const struct visit *visit = context;
	struct probe_sink *sink = visit->units->sink;
	const char *path = arena_printf(&sink->arena, "%s/%s", visit->folder, name);

	(void)err;
	/* cron(8) leaves out names with a dot: what editors and packages leave behind. */
	if (!strchr(name, '.') && visit->units->cron_files++ < CRON_FILES_MAX)
		read_crontab(visit->units, path, path, true);
	return 0;
}

static int visit_spool(void *context, const char *name, struct err *err)
{
	const struct visit *visit = context;
	struct probe_sink *sink = visit->units->sink;

	(void)err;
	if (name[0] != '.' && visit->units->cron_files++ < CRON_FILES_MAX)
		read_crontab(visit->units, arena_printf(&sink->arena, "%s/%s", visit->folder, name),
			     arena_printf(&sink->arena, "crontabs/%s", name), false);
	return 0;
}

static int visit_script(void *context, const char *name, struct err *err)
{
	const struct visit *visit = context;
	struct probe_sink *sink = visit->units->sink;
	const char *path = arena_printf(&sink->arena, "%s/%s", visit->folder, name);

	(void)err;
	if (name[0] != '.' && visit->units->cron_files++ < CRON_FILES_MAX)
		put_content(sink, probe_key(sink, "unit/cron:%s/fragment", path), path);
	return 0;
}

/* Everybody's crontabs are root's to read; our own `crontab -l` shows. */
static void read_own_crontab(struct units *units)
{
	struct probe_sink *sink = units->sink;
	const char *argv[] = {"crontab", "-l", NULL}, *why, *missing;
	struct slice text = helper_run(sink, &units->names, &missing), name, body;

	if (text.ptr) {
		while (helper_next(&text, &name, &body))
			if (slice_starts_with(name, "crontab "))
				put_crontab(units,
					    arena_printf(&sink->arena, "crontabs/%.*s",
							 SLICE_ARG(slice_skip(name, 8))),
					    body, false);
		return;
	}
	text = probe_command(sink, argv, 3000, UNIT_FILE_MAX, &why);
	if (text.ptr)
		put_crontab(units, arena_printf(&sink->arena, "crontabs/%s", names_us(&units->names)), text,
			    false);
	probe_skip(sink, SLICE("unit/cron:crontabs/"), "other users' crontabs: %s", missing);
}

static void look_at_cron(struct units *units)
{
	static const char *const spools[] = {"/var/spool/cron/crontabs", "/var/spool/cron"};
	static const char *const scripts[] = {"/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly",
					      "/etc/cron.monthly"};
	struct err none = ERR_INIT;
	struct visit visit = {units, "/etc/cron.d"};
	bool readable = false;

	read_crontab(units, "/etc/crontab", "/etc/crontab", true);
	if (dir_each_at(AT_FDCWD, visit.folder, visit_cron_d, &visit, &none) && none.code == ERR_DENIED)
		probe_skip(units->sink, SLICE("unit/cron:/etc/cron.d/"), "%s", none.text);
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		visit.folder = scripts[i];
		if (dir_each_at(AT_FDCWD, visit.folder, visit_script, &visit, &none))
			continue;
	}
	for (size_t i = 0; i < ARRAY_LEN(spools) && !readable; i++) {
		visit.folder = spools[i];
		if (geteuid() == 0 && access(spools[i], R_OK) == 0)
			readable = dir_each_at(AT_FDCWD, spools[i], visit_spool, &visit, &none) == 0;
	}
	if (!readable && (access("/var/spool/cron", F_OK) == 0))
		read_own_crontab(units);
}

static int unit_run(struct probe_sink *sink, struct err *err)
{
	struct units *units = ARENA_NEW(&sink->arena, struct units);

	(void)err;
	units->sink = units->names.sink = sink;
	look_at_files(units);
	look_at_running(units);
	look_at_supervisor(units);
	look_at_cron(units);
	if (units->count == UNITS_MAX)
		probe_skip(sink, SLICE("unit/"), "there are more than %d units", UNITS_MAX);
	map_free(&units->by_name);
	return 0;
}

static const struct probe_fact unit_facts[] = {
	{"unit/NAME/enabled", "text", "enabled, disabled, static, masked, not installed"},
	{"unit/NAME/active", "text", "active, inactive, failed, ..."},
	{"unit/NAME/fragment", "digest",
	 "the unit file, where no package brings it or the application is reloaded by it; a "
	 "keyed fingerprint where it sets variables"},
	{"unit/NAME/dropin/FILE", "digest", "what /etc/systemd/system/NAME.d and its like add to it"},
	{"unit/NAME/main_exe", "text", "the program that really runs"},
	{"unit/supervisor:FILE/fragment", "digest", "a configuration file of supervisord"},
	{"unit/supervisor:NAME/active", "text or set",
	 "RUNNING, STOPPED, ...; of a group all that there are"},
	{"unit/cron:FILE/HASH", "text", "when a command runs, and as whom; HASH is of the command"},
	{"unit/cron:FILE/HASH/command", "hmac", "the whole command"},
	{"unit/cron:FILE/HASH/shown", "evidence", "the command without what may be secret"},
	{"unit/cron:FILE/NAME/value", "hmac", "a variable that a crontab sets"},
	{"unit/cron:FILE/fragment", "digest", "a script in /etc/cron.daily and its like"},
	{NULL, NULL, NULL},
};

const struct probe probe_unit = {
	.dimension = "unit",
	.text = "systemd units and drop-ins, programs of supervisord, cron",
	.facts = unit_facts,
	.time_ms = 20000,
	.run = unit_run,
};
