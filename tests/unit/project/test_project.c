/* A right file becomes the struct project that it says, fallbacks, short forms and
 * inheriting included. */
#include "support.h"

#include "project/project.h"

#include "seal/secret.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena arena;
static struct diags *diags;

static int setup(void **state)
{
	(void)state;
	diags = ARENA_NEW(&arena, struct diags);
	*diags = DIAGS_INIT(&arena);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct project *parse(const char *text)
{
	struct project *project = NULL;
	struct err err = ERR_INIT;
	if (project_parse(&arena, "lockstep.yml", slice_of(text), &project, diags, &err))
		fail_msg("%s", err.text);
	return project;
}

static struct project *parse_good(void)
{
	AUTO(buf_free) struct buf text = BUF_INIT(MIB(1));
	read_source("good.yml", &text);
	return parse(buf_str(&text));
}

static void every_key_is_read(void **state)
{
	(void)state;
	const struct project *project = parse_good();
	assert_string_equal(project->name, "shop");
	assert_string_equal(project->source, "git@github.com:acme/shop.git");
	assert_null(project->dir);

	const struct project_build *build = &project->build;
	assert_int_equal(build->run.count, 2);
	assert_string_equal(build->run.items[1], "npm ci");
	assert_string_equal(build->image, "php:8.3");
	assert_int_equal(build->secrets.count, 1);
	assert_string_equal(build->cache.items[0], "node_modules");
	assert_string_equal(build->cache.items[1], "~/.npm");
	assert_string_equal(build->output, "dist");
	assert_int_equal(build->exclude.count, 3);
	assert_int_equal(build->timeout_ms, 600000);
	assert_int_equal(build->memory, (uint64_t)2 << 30);
	assert_int_equal(build->output_max, 1 << 20);
	assert_int_equal(build->sandbox, PROJECT_SANDBOX_NONE);
	assert_false(build->network);
	assert_string_equal(build->env.items[1].name, "LEVEL");
	assert_string_equal(build->env.items[1].text, "1.0");

	const struct delivery *deploy = &project->deploy;
	assert_string_equal(deploy->path, "/var/www/shop/");
	assert_string_equal(deploy->shared_dirs.items[0], "storage");
	assert_string_equal(deploy->shared_files.items[0], ".env");
	assert_string_equal(deploy->user, "www-data");
	assert_int_equal(deploy->keep, 7);
	assert_int_equal(deploy->link, LINK_COPY);
	assert_int_equal(deploy->reload.count, 2);
	assert_string_equal(deploy->reload.items[1].group, "worker");
	assert_int_equal(deploy->reload.items[1].kind, RELOAD_PIDFILE);
	assert_int_equal(deploy->reload.items[1].signal, SIGUSR2);
	assert_string_equal(deploy->reload.items[1].subject, "tmp/w.pid");

	const struct hook_list *hooks = &deploy->hooks.points[HOOK_AFTER_PREPARE];
	assert_int_equal(hooks->count, 2);
	assert_string_equal(hooks->items[0].run, "php artisan config:cache");
	assert_int_equal(hooks->items[0].where, HOOK_EACH);
	assert_int_equal(hooks->items[0].timeout_ms, 300000);
	assert_int_equal(hooks->items[0].on_retry, HOOK_RETRY_ASK);
	assert_int_equal(hooks->items[1].where, HOOK_ONCE);
	assert_string_equal(hooks->items[1].group, "web");
	assert_string_equal(hooks->items[1].as, "www-data");
	assert_int_equal(hooks->items[1].on_retry, HOOK_RETRY_SKIP);
	assert_string_equal(hooks->items[1].on_go_back, "undo");
}

static void an_environment_takes_over_what_it_does_not_say(void **state)
{
	(void)state;
	const struct project *project = parse_good();
	assert_int_equal(project->environments.count, 3);
	const struct environment *dev = project_environment(project, "dev");
	assert_int_equal(dev->deploy_on.kind, TRIGGER_PUSH);
	assert_int_equal(dev->delivery.keep, 7);
	assert_int_equal(dev->delivery.health.kind, HEALTH_URL);
	assert_string_equal(dev->delivery.health.url, "http://dev.acme.io/up");
	assert_string_equal(dev->delivery.health.address, "127.0.0.1:08");
	assert_int_equal(dev->delivery.health.status, 204);
	assert_int_equal(dev->delivery.health.within_ms, 10000);
	assert_int_equal(dev->servers.count, 1);
	assert_string_equal(dev->servers.items[0].place.path, "/var/www/shop");
	assert_null(dev->servers.items[0].group);
	assert_string_equal(value_list_get(&dev->values, SLICE("ON")), "on");
	assert_string_equal(value_list_get(&dev->values, SLICE("EMPTY")), "");

	const struct environment *staging = project_environment(project, "staging");
	assert_int_equal(staging->delivery.health.kind, HEALTH_NONE);
	assert_int_equal(staging->delivery.reload.items[0].kind, RELOAD_NONE);
	assert_null(staging->delivery.reload.items[0].group);
	assert_int_equal(staging->delivery.hooks.points[HOOK_AFTER_PREPARE].count, 0);
	assert_int_equal(staging->delivery.hooks.points[HOOK_AFTER_LIVE].count, 1);
	assert_int_equal(staging->delivery.hooks.points[HOOK_BEFORE_BUILD].count, 1);
	assert_string_equal(staging->servers.items[0].place.path, "shop");
	assert_true(staging->servers.items[0].place.path_is_relative);
	assert_string_equal(staging->servers.items[1].place.host, "fe80::1%eth0");
	assert_int_equal(staging->servers.items[1].place.port, 2222);
	assert_string_equal(value_list_get(&staging->values, SLICE("APP_URL")), "https://stg.acme.io");
	assert_string_equal(value_list_get(&staging->values, SLICE("PORT")), "08");

	const struct environment *production = project_environment(project, "production");
	assert_int_equal(production->deploy_on.kind, TRIGGER_MANUAL);
	assert_int_equal(production->delivery.keep, 3);
	assert_int_equal(production->delivery.health.kind, HEALTH_COMMAND);
	assert_null(production->delivery.health.url);
	assert_int_equal(production->servers.count, 3);
	assert_string_equal(production->servers.items[2].group, "worker");
	assert_int_equal(production->servers.items[2].place.kind, PLACE_LOCAL);
	assert_int_equal(production->groups.count, 2);
	assert_true(server_in_group(&production->servers.items[0], "web"));
	assert_false(server_in_group(&production->servers.items[0], "worker"));
	assert_true(server_in_group(&dev->servers.items[0], "worker"));
}

static void what_is_absent_has_its_fallback(void **state)
{
	(void)state;
	const struct project *project =
		parse("version: 1\nproject: p\nenvironments: {dev: {servers: [\"h:/a\"]}}\n");
	assert_string_equal(project->source, ".");
	assert_null(project->build.node);
	assert_int_equal(project->build.run.count, 0);
	assert_string_equal(project->build.output, ".");
	assert_int_equal(project->build.timeout_ms, 1800000);
	assert_int_equal(project->build.memory, 0);
	assert_int_equal(project->build.output_max, 64 << 20);
	assert_int_equal(project->build.sandbox, PROJECT_SANDBOX_AUTO);
	assert_true(project->build.network);
	const struct environment *dev = &project->environments.items[0];
	assert_int_equal(dev->deploy_on.kind, TRIGGER_MANUAL);
	assert_int_equal(dev->delivery.keep, 5);
	assert_int_equal(dev->delivery.link, LINK_AUTO);
	assert_int_equal(dev->delivery.health.kind, HEALTH_UNSET);
	assert_int_equal(dev->delivery.reload.count, 0);
	assert_string_equal(environment_default_ref(dev), "HEAD");
}

static void a_text_is_short_for_a_build(void **state)
{
	(void)state;
	const struct project *project =
		parse("version: 1\nproject: p\nbuild: make\nenvironments: {dev: {servers: [\"h:/a\"]}}\n");
	assert_int_equal(project->build.run.count, 1);
	assert_string_equal(project->build.run.items[0], "make");
	assert_true(project->build.network);
}

static void triggers_match_full_refs(void **state)
{
	(void)state;
	const struct project *project = parse_good();
	const struct environment *dev = project_environment(project, "dev");
	const struct environment *staging = project_environment(project, "staging");
	const struct environment *production = project_environment(project, "production");
	assert_true(environment_triggered_by(dev, "refs/heads/main"));
	assert_false(environment_triggered_by(dev, "refs/heads/main2"));
	assert_false(environment_triggered_by(dev, "refs/tags/main"));
	assert_true(environment_triggered_by(staging, "refs/tags/v1.2"));
	assert_false(environment_triggered_by(staging, "refs/heads/v1.2"));
	assert_false(environment_triggered_by(production, "refs/heads/main"));
	assert_string_equal(environment_default_ref(dev), "main");
	assert_string_equal(environment_default_ref(staging), "release");
	assert_string_equal(environment_default_ref(production), "HEAD");
}

static void the_order_follows_promotion(void **state)
{
	(void)state;
	const struct project *project =
		parse("version: 1\nproject: p\nenvironments:\n"
		      "  production: {servers: [\"h:/a\"], promote_from: [staging, qa]}\n"
		      "  qa: {servers: [\"h:/b\"], promote_from: dev}\n"
		      "  staging: {servers: [\"h:/c\"], promote_from: dev}\n"
		      "  dev: {servers: [\"h:/d\"]}\n"
		      "  demo: {servers: [\"h:/e\"]}\n");
	const struct environment **order = project_order(&arena, project);
	const char *const expected[] = {"dev", "qa", "staging", "production", "demo"};
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_string_equal(order[i]->name, expected[i]);
}

static void an_unknown_environment_names_the_nearest(void **state)
{
	(void)state;
	const struct environment *environment;
	struct err err = ERR_INIT;
	const struct project *project = parse_good();
	assert_int_equal(project_find_environment(project, "stagin", &environment, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.text, "lockstep.yml has no environment `stagin`");
	assert_string_equal(err.hint, "did you mean `staging`?");
	assert_int_equal(project_find_environment(project, "moon", &environment, &err), -1);
	assert_string_equal(err.hint, "it has dev, staging, production");
}

static void write_at(int dir_fd, const char *path, const char *text)
{
	struct err err = ERR_INIT;
	assert_int_equal(file_replace_at(dir_fd, path, slice_of(text), 0644, &err), 0);
}

static void the_file_is_found_in_folders_above(void **state)
{
	(void)state;
	char dir[] = "/tmp/lockstep-project-XXXXXX";
	char *before = getcwd(NULL, 0);
	struct err err = ERR_INIT;
	struct project *project = NULL;
	AUTO(close_fd) int fd = -1;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(dir_open_at(AT_FDCWD, dir, &fd, &err), 0);
	assert_int_equal(dir_make_at(fd, "a/b", 0755, &err), 0);

	assert_int_equal(project_load(&arena, dir, &project, diags, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(project_load(&arena, "/no/such", &project, diags, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);

	write_at(fd, "lockstep.yml",
		 "version: 1\nproject: above\nenvironments: {dev: {servers: [\"h:/a\"]}}\n");
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(chdir("a/b"), 0);
	assert_int_equal(project_load(&arena, NULL, &project, diags, &err), 0);
	assert_string_equal(project->name, "above");
	assert_string_equal(project->file, "../../lockstep.yml");
	char *real = realpath(dir, NULL);
	assert_string_equal(project->dir, real);
	assert_int_equal(project_load(&arena, dir, &project, diags, &err), 0);
	free(real);
	assert_int_equal(chdir(before), 0);
	free(before);
	assert_int_equal(tree_remove_at(AT_FDCWD, dir, &err), 0);
}

static const char configured[] =
	"version: 1\nproject: shop\n"
	"env:\n"
	"  APP_URL: {type: url, unique: true, description: where}\n"
	"  LEVEL: {default: info, type: enum, one_of: [debug, info]}\n"
	"  KEY: {secret: true, on_rollback: latest, required: [production], live_only_in: production}\n"
	"  OPTIONAL: {required: false}\n"
	"  BARE:\n"
	"values_from: \"dotenv:common.env\"\n"
	"files:\n"
	"  - {template: a.tpl, path: .env, permissions: \"0600\", group: www-data, syntax: [dollar, braces], quote: ini}\n"
	"  - {copy: b, path: bin/b, for: web}\n"
	"  - {env: systemd, path: app.env, only: [\"APP_*\"]}\n"
	"  - {substitute: \"public/*.js\"}\n"
	"deploy: {path: /srv, health: {url: \"${APP_URL}/up\", address: \"${ADDRESS}\"}}\n"
	"environments:\n"
	"  dev: {servers: h, values: {APP_URL: \"http://d\", ADDRESS: \"d:80\"}}\n"
	"  production:\n"
	"    servers: {web: [w1, w2], worker: j}\n"
	"    values_from: [vault://kv/shop, {from: \"ssm:///a/\", endpoint: \"http://e\", for: web, keys: {KEY: k/e}}]\n"
	"    values_for: {web: {WORKERS: 8}, j: {NODE: 1}}\n"
	"    files: [{template: c.tpl, path: .env}]\n";

static void configuration_is_read(void **state)
{
	(void)state;
	const struct project *project = parse(configured);
	const struct contract_key *key = contract_find(&project->env, SLICE("KEY"));
	assert_int_equal(project->env.keys.count, 5);
	assert_true(key->secret);
	assert_int_equal(key->on_rollback, ROLLBACK_LATEST);
	assert_string_equal(key->live_only_in.items[0], "production");
	assert_true(contract_requires(key, "production"));
	assert_false(contract_requires(key, "dev"));
	assert_true(contract_requires(contract_find(&project->env, SLICE("APP_URL")), "dev"));
	assert_true(contract_requires(contract_find(&project->env, SLICE("BARE")), "dev"));
	assert_false(contract_requires(contract_find(&project->env, SLICE("LEVEL")), "dev"));
	assert_false(contract_requires(contract_find(&project->env, SLICE("OPTIONAL")), "dev"));
	assert_string_equal(contract_find(&project->env, SLICE("LEVEL"))->fallback, "info");
	assert_string_equal(project->values_from.items[0].from, "dotenv:common.env");

	const struct environment *dev = project_environment(project, "dev");
	/* What is for a group it does not have is not for it. */
	assert_int_equal(dev->files.count, 3);
	assert_int_equal(dev->files.items[0].kind, FILE_TEMPLATE);
	assert_int_equal(dev->files.items[0].mode, 0600);
	assert_int_equal(dev->files.items[0].syntax, 5);
	assert_string_equal(dev->files.items[0].quote, "ini");
	assert_int_equal(dev->files.items[1].kind, FILE_ENV);
	assert_int_equal(dev->files.items[1].grammar, ENV_SYSTEMD);
	assert_string_equal(dev->files.items[1].only.items[0], "APP_*");
	assert_int_equal(dev->files.items[2].kind, FILE_SUBSTITUTE);
	assert_string_equal(dev->delivery.health.url, "http://d/up");
	assert_false(dev->delivery.health.late);

	const struct environment *production = project_environment(project, "production");
	assert_int_equal(production->files.count, 4);
	assert_string_equal(production->files.items[3].from, "c.tpl");
	assert_string_equal(production->values_from.items[0].from, "vault://kv/shop");
	assert_string_equal(production->values_from.items[1].scope, "web");
	assert_string_equal(production->values_from.items[1].endpoint, "http://e");
	assert_string_equal(production->values_from.items[1].keys.items[0].path, "k/e");
	assert_string_equal(value_list_get(&production->values_for.items[0].values, SLICE("WORKERS")), "8");
	assert_string_equal(production->values_for.items[1].scope, "j");
}

static void health_waits_for_values_of_providers(void **state)
{
	(void)state;
	const struct project *project = parse(configured);
	const struct health *health = &project_environment(project, "production")->delivery.health;
	assert_true(health->late);
	assert_string_equal(health->url, "${APP_URL}/up");

	AUTO(safe_close) struct safe *safe = safe_open();
	struct value values[] = {{"ADDRESS", "p:80"}, {"APP_URL", "https://p"}};
	struct value_list list = {values, 2};
	struct config_set set;
	struct health filled;
	struct err err = ERR_INIT;
	assert_int_equal(config_set_of_values(&arena, safe, &list, &set, &err), 0);
	assert_int_equal(health_fill(&arena, health, &set, &filled, &err), 0);
	assert_string_equal(filled.url, "https://p/up");
	assert_string_equal(filled.address, "p:80");
	assert_false(filled.late);

	set.values[1].secret = true;
	assert_int_equal(health_fill(&arena, health, &set, &filled, &err), -1);
	assert_string_equal(err.text, "health.url: `${APP_URL}` is a secret, and what is asked stands in logs");
	set.values[1].secret = false;
	set.count = 1;
	assert_int_equal(health_fill(&arena, health, &set, &filled, &err), -1);
	assert_string_equal(err.text, "health.url: `${APP_URL}`: there is no value of this name");
	values[1].text = "gopher://x";
	assert_int_equal(config_set_of_values(&arena, safe, &list, &set, &err), 0);
	assert_int_equal(health_fill(&arena, health, &set, &filled, &err), -1);
	assert_string_equal(err.text, "health.url: `gopher://x/up` must begin with http:// or https://");
}

static void templates_must_stand_beside_the_file(void **state)
{
	(void)state;
	char dir[] = "/tmp/lockstep-test-XXXXXX";
	struct project *project = NULL;
	struct err err = ERR_INIT;
	assert_non_null(mkdtemp(dir));
	AUTO(close_fd) int fd = open(dir, O_DIRECTORY | O_CLOEXEC);
	static const char text[] = "version: 1\nproject: p\n"
				   "files: [{template: here, path: a}, {template: gone, path: b}, {copy: sub, path: c}]\n"
				   "environments: {dev: {servers: \"h:/x\"}}\n";
	assert_int_equal(file_replace_at(fd, "lockstep.yml", slice_of(text), 0644, &err), 0);
	assert_int_equal(file_replace_at(fd, "here", SLICE("x"), 0644, &err), 0);
	assert_int_equal(mkdirat(fd, "sub", 0755), 0);
	assert_int_equal(project_load(&arena, dir, &project, diags, &err), -1);
	assert_int_equal(diags->count, 2);
	assert_string_equal(diags->items[0].text, "there is no file `gone` beside lockstep.yml");
	assert_int_equal(diags->items[0].origin.column, 37);
	assert_string_equal(diags->items[1].text, "`sub` is no regular file");
	assert_int_equal(tree_remove_at(AT_FDCWD, dir, &err), 0);
}

static void expect_words(const struct str_list *list, const char *expected)
{
	AUTO(buf_free) struct buf text = BUF_INIT(KIB(4));
	for (size_t i = 0; i < list->count; i++)
		buf_printf(&text, "%s%s", i ? " " : "", list->items[i]);
	assert_string_equal(buf_str(&text), expected);
}

static void expect_texts(const struct parity_texts *texts, const char *expected)
{
	AUTO(buf_free) struct buf text = BUF_INIT(KIB(4));
	for (size_t i = 0; i < texts->count; i++)
		buf_printf(&text, "%s%s%s%s%s", i ? " " : "", texts->items[i].late ? "late:" : "",
			   texts->items[i].name ? texts->items[i].name : "", texts->items[i].name ? "=" : "",
			   texts->items[i].text);
	assert_string_equal(buf_str(&text), expected);
}

static void parity_is_read(void **state)
{
	(void)state;
	const struct project *project = parse_good();
	const struct project_parity *parity = &project->parity;
	assert_string_equal(parity->reference, "production");
	assert_int_equal(parity->only.count, 0);

	const struct {
		const char *fact, *where;
		enum rule_kind kind;
	} expected[] = {
		{"env/DATABASE_URL/value", "lockstep.yml:38", RULE_UNIQUE},
		{"endpoint/STRIPE_SECRET/mode", "lockstep.yml:37", RULE_LIVE_ONLY_IN},
		{"hw/memory/total", "lockstep.yml:48", RULE_RATIO},
		{"runtime/php/version", "lockstep.yml:49", RULE_MINOR},
		{"os/timezone/name", "lockstep.yml:50", RULE_ONE_OF},
		{"env/*_KEY/value", "lockstep.yml:51", RULE_UNIQUE},
		{"file/storage/*", "lockstep.yml:52", RULE_IGNORE},
	};
	assert_int_equal(parity->rules.count, ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		const struct rule *rule = &parity->rules.items[i];
		assert_string_equal(rule->fact, expected[i].fact);
		assert_string_equal(rule->where, expected[i].where);
		assert_int_equal(rule->kind, expected[i].kind);
	}
	const struct rule *live = &parity->rules.items[1], *ratio = &parity->rules.items[2],
			  *minor = &parity->rules.items[3], *one_of = &parity->rules.items[4];
	assert_int_equal(live->word_count, 1);
	assert_string_equal(live->words[0], "production");
	assert_true(ratio->ratio > 0.2499 && ratio->ratio < 0.2501);
	assert_string_equal(ratio->owner, "ops");
	assert_string_equal(ratio->reason, "staging is small");
	assert_int_equal(ratio->until_ms, INT64_C(1803945600000)); /* 2027-03-02T00:00:00Z */
	assert_int_equal(ratio->environment_count, 1);
	assert_string_equal(ratio->environments[0], "staging");
	assert_int_equal(ratio->severity, SEVERITY_NONE);
	assert_int_equal(minor->severity, SEVERITY_LOW);
	assert_int_equal(minor->until_ms, 0);
	assert_int_equal(one_of->word_count, 2);
	assert_string_equal(one_of->words[1], "Etc/UTC");
}

static void an_environment_is_looked_at_for_the_projects_and_its_own(void **state)
{
	(void)state;
	const struct project *project = parse_good();
	const struct environment_parity *staging = &project_environment(project, "staging")->parity,
					*production = &project_environment(project, "production")->parity;
	expect_words(&staging->looks.paths, "/etc/nginx/sites-enabled/shop.conf /etc/shop");
	expect_words(&staging->looks.env_files, ".env");
	expect_words(&staging->looks.skip, "hw");
	expect_texts(&staging->urls, "https://stg.acme.io/ https://cdn.acme.io/app.js");
	expect_texts(&staging->names, "db.internal");
	expect_texts(&staging->ports, "db.internal:08");
	expect_texts(&staging->databases,
		     "late:main=${DATABASE_URL} "
		     "late:log=postgres://app:${LOG_PASSWORD}@db.internal/log?sslmode=require");
	expect_words(&production->looks.paths, "/etc/nginx/sites-enabled/shop.conf /etc/shop /etc/php/8.3");
	expect_texts(&production->urls, "https://shop.acme.io/ https://cdn.acme.io/app.js");
	/* Nothing gives PORT here: known in the others, so no slip of the pen. */
	expect_texts(&production->ports, "late:db.internal:${PORT}");
	expect_texts(&production->databases, "late:main=${DATABASE_URL} log=sqlite:/srv/log.db");

	const struct require_parity *with = &project_environment(project, "production")->require.parity_with;
	assert_string_equal(with->environment, "staging");
	assert_int_equal(with->severity, SEVERITY_MEDIUM);
	assert_int_equal(with->coverage, 95);
	assert_int_equal(with->max_age_ms, 30 * 60 * 1000);
	assert_null(project_environment(project, "staging")->require.parity_with.node);
}

#define SMALL "version: 1\nproject: p\ndeploy: {path: /x}\n"

static void parity_has_fallbacks(void **state)
{
	(void)state;
	const struct project *project =
		parse(SMALL "files: {env: dotenv, path: config/env}\n"
			    "parity: {reference: one, env_files: [a.env, b.env]}\n"
			    "environments:\n  one: {servers: a, parity: {env_files: b.env}}\n"
			    "  two: {servers: b, require: {parity_with: one}}\n");
	const struct require_parity *with = &project->environments.items[1].require.parity_with;
	assert_string_equal(project->parity.reference, "one");
	expect_words(&project->environments.items[0].parity.looks.env_files, "a.env b.env");
	assert_non_null(with->node);
	assert_string_equal(with->environment, "one");
	assert_int_equal(with->severity, SEVERITY_LOW);
	assert_int_equal(with->coverage, 80);
	assert_int_equal(with->max_age_ms, 60 * 60 * 1000);

	project = parse(SMALL "files: {env: dotenv, path: config/env}\nenvironments: {one: {servers: a}}\n");
	expect_words(&project->environments.items[0].parity.looks.env_files, "config/env");
	assert_int_equal(project->environments.items[0].parity.urls.count, 0);
}

static void the_reference_is_the_end_of_the_longest_chain(void **state)
{
	(void)state;
	static const struct {
		const char *environments, *reference;
	} cases[] = {
		{"{a: {servers: a}}", "a"},
		{"{a: {servers: a}, b: {servers: b}}", "b"},
		{"{a: {servers: a}, b: {servers: b, promote_from: a}, preview: {servers: c}}", "b"},
		{"{c: {servers: c, promote_from: b}, b: {servers: b, promote_from: a}, a: {servers: a}}", "c"},
		{"{a: {servers: a}, eu: {servers: b, promote_from: a}, us: {servers: c, promote_from: a}}", "us"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct project *project =
			parse(arena_printf(&arena, SMALL "environments: %s\n", cases[i].environments));
		assert_string_equal(project->parity.reference, cases[i].reference);
	}
}

static void texts_of_parity_wait_for_values_of_providers(void **state)
{
	(void)state;
	const struct parity_text *database =
		&project_environment(parse_good(), "staging")->parity.databases.items[0];
	const struct parity_text url = {.text = "https://${HOST}/", .late = true};
	AUTO(safe_close) struct safe *safe = safe_open();
	struct value values[] = {{"DATABASE_URL", "postgres://u:pw@h/d"}, {"HOST", "acme.io"}};
	struct value_list list = {values, 2};
	struct config_set set;
	struct err err = ERR_INIT;
	const char *text;
	assert_int_equal(config_set_of_values(&arena, safe, &list, &set, &err), 0);
	set.values[0].secret = true;
	assert_int_equal(parity_text_fill(&arena, PARITY_DATABASE, database, &set, &text, &err), 0);
	assert_string_equal(text, "postgres://u:pw@h/d");
	assert_int_equal(parity_text_fill(&arena, PARITY_URL, &url, &set, &text, &err), 0);
	assert_string_equal(text, "https://acme.io/");

	set.values[1].secret = true;
	assert_int_equal(parity_text_fill(&arena, PARITY_URL, &url, &set, &text, &err), -1);
	assert_string_equal(err.text, "parity.urls: `${HOST}` is a secret, and what is asked stands in logs");
	set.count = 0;
	assert_int_equal(parity_text_fill(&arena, PARITY_DATABASE, database, &set, &text, &err), -1);
	assert_string_equal(err.text, "parity.databases.main: `${DATABASE_URL}`: there is no value of this name");
	values[1].text = "a b";
	assert_int_equal(config_set_of_values(&arena, safe, &list, &set, &err), 0);
	assert_int_equal(parity_text_fill(&arena, PARITY_URL, &url, &set, &text, &err), -1);
	assert_string_equal(err.text, "parity.urls: `https://${HOST}/` names no valid host");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_key_is_read),
		TEST(an_environment_takes_over_what_it_does_not_say),
		TEST(what_is_absent_has_its_fallback),
		TEST(a_text_is_short_for_a_build),
		TEST(triggers_match_full_refs),
		TEST(the_order_follows_promotion),
		TEST(an_unknown_environment_names_the_nearest),
		TEST(the_file_is_found_in_folders_above),
		TEST(configuration_is_read),
		TEST(health_waits_for_values_of_providers),
		TEST(parity_is_read),
		TEST(an_environment_is_looked_at_for_the_projects_and_its_own),
		TEST(parity_has_fallbacks),
		TEST(the_reference_is_the_end_of_the_longest_chain),
		TEST(texts_of_parity_wait_for_values_of_providers),
		TEST(templates_must_stand_beside_the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
