/* What the tests of builds share: a repository with one commit, a store, a request. */
#pragma once

#include "../source/repository.h"

#include "base/clock.h"
#include "build/build.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>

#define NAMES(...) ((const char *const[]){__VA_ARGS__})

static struct arena arena;
static struct store *store;
static struct source *source;
static struct commit commit;
static struct build_recipe recipe;
static struct build_result result;
static struct buf output; /* all that was shown */
static struct buf steps;

static void show(void *context, struct slice bytes)
{
	(void)context;
	buf_put_slice(&output, bytes);
}

static void step(void *context, const char *line)
{
	(void)context;
	buf_printf(&steps, "%s\n", line);
}

static struct build_request request;

static void open_commit(const char *ref)
{
	struct err err = ERR_INIT;

	source_close(&source);
	assert_done(source_open(request.home, "up", test_dir, &source, &err), &err);
	assert_done(source_fetch(source, NULL, &err), &err);
	assert_done(source_resolve(source, ref, &arena, &commit, &err), &err);
	request.source = source;
}

static int setup(void **state)
{
	struct err err = ERR_INIT;

	if (test_setup(state))
		return -1;
	sh("git init -q -b main up; cd up; echo one > a.txt; mkdir bin; echo '#!/bin/sh' > bin/run; chmod +x "
	   "bin/run;"
	   "git add -A; git commit -qm first");
	recipe = (struct build_recipe){0};
	result = (struct build_result){0};
	output = steps = BUF_INIT(4 << 20);
	request = (struct build_request){.home = arena_strdup(&arena, test_path("home")),
					 .project = "shop",
					 .commit = &commit,
					 .recipe = &recipe,
					 .step = step,
					 .output = show};
	assert_done(dir_make_at(AT_FDCWD, request.home, 0700, &err), &err);
	assert_done(store_open(test_path("home/store"), &store, &err), &err);
	request.store = store;
	open_commit("main");
	return 0;
}

static int teardown(void **state)
{
	source_close(&source);
	store_close(&store);
	buf_free(&output);
	buf_free(&steps);
	arena_free(&arena);
	return test_teardown(state);
}

__attribute__((unused)) static void set_commands(const char *const *commands, size_t count)
{
	recipe.commands = commands;
	recipe.command_count = count;
}
#define COMMANDS(...) set_commands(NAMES(__VA_ARGS__), ARRAY_LEN(NAMES(__VA_ARGS__)))

static struct manifest load(void)
{
	struct manifest manifest;
	struct err err = ERR_INIT;

	assert_done(store_load_manifest(store, &result.record.release, &arena, &manifest, &err), &err);
	return manifest;
}

__attribute__((unused)) static bool has(const struct manifest *manifest, const char *path)
{
	return manifest_find(manifest, slice_of(path)) != NULL;
}

__attribute__((unused)) static const char *content(const char *path)
{
	struct manifest manifest = load();
	const struct entry *entry = manifest_find(&manifest, slice_of(path));
	struct err err = ERR_INIT;
	struct slice bytes;

	if (!entry)
		return "(missing)";
	assert_done(store_load_object(store, &entry->digest, 1 << 20, &arena, &bytes, &err), &err);
	return arena_str(&arena, bytes);
}

__attribute__((unused)) static int count_logs(void)
{
	return atoi(sh_line("ls home/builds/*/log-* 2>/dev/null | wc -l"));
}

__attribute__((unused)) static const char *secret_value(void *context, const char *name)
{
	(void)context;
	return strcmp(name, "TOKEN") == 0 ? "t0p-s3cret-value" : NULL;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
