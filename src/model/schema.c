/* The schema, step by step. A row that was ever released is never edited: what
 * should be different becomes a new row. Times are milliseconds since 1970 UTC,
 * enums are kept by name, columns that a word of SQL would clash with end in
 * _id or _digest. */
#include "model/model.h"

const struct db_migration model_migrations[] = {
	{1, "releases and the builds they came from",
	 /* One row a build. The same release may come from several; a build gives one
	  * release, unless no copy of it survived anywhere (forgotten_ms). */
	 "create table release ("
	 " project text not null,"
	 " build_key text not null check (length(build_key) = 64),"
	 " digest text not null check (length(digest) = 64),"
	 " tree_id text not null,"
	 " recipe_digest text not null,"
	 " platform text not null,"
	 " commit_id text,"
	 " ref text,"
	 " subject text,"
	 " author text,"
	 " log text,"
	 " builder text,"
	 " committed_ms integer not null,"
	 " created_ms integer not null,"
	 " file_count integer not null,"
	 " total_size integer not null,"
	 " forgotten_ms integer not null default 0,"
	 " primary key (project, build_key, digest)) strict;"
	 "create unique index release_build on release (project, build_key) where forgotten_ms = 0;"
	 "create index release_digest on release (project, digest);"
	 "create index release_created on release (created_ms, digest);"},

	{2, "deployments and what they did on each server",
	 "create table deployment ("
	 " id text primary key,"
	 " kind text not null,"
	 " project text not null,"
	 " environment text not null,"
	 " release_digest text,"
	 " config_digest text,"
	 " plan_digest text,"
	 " commit_id text,"
	 " ref text,"
	 " subject text,"
	 " who text,"
	 " reason text,"
	 " hotfix integer not null,"
	 " started_ms integer not null,"
	 " ended_ms integer not null,"
	 " outcome text not null,"
	 " exit_code integer not null,"
	 " error text,"
	 " run text) strict;"
	 "create index deployment_environment on deployment (project, environment, started_ms, id);"
	 "create index deployment_started on deployment (started_ms, id);"
	 "create index deployment_running on deployment (started_ms) where ended_ms = 0;"
	 "create table deployment_server ("
	 " deployment_id text not null references deployment (id) on delete cascade,"
	 " server text not null,"
	 " position integer not null,"
	 " label text,"
	 " previous text,"
	 " activation text,"
	 " files integer not null,"
	 " bytes integer not null,"
	 " duration_ms integer not null,"
	 " verdict text not null,"
	 " error text,"
	 " primary key (deployment_id, server)) strict;"},

	{3, "what was last seen on servers and in sources",
	 "create table seen_place ("
	 " project text not null,"
	 " environment text not null,"
	 " place text not null,"
	 " label text,"
	 " place_id text,"
	 " number integer not null,"
	 " activation text,"
	 " release_digest text,"
	 " config_digest text,"
	 " verified text not null,"
	 " deployment_id text,"
	 " commit_id text,"
	 " subject text,"
	 " who text,"
	 " activated_ms integer not null,"
	 " edits integer not null,"
	 " seen_ms integer not null,"
	 " primary key (project, environment, place)) strict;"
	 "create table seen_tag ("
	 " source text not null,"
	 " tag text not null,"
	 " commit_id text not null,"
	 " seen_ms integer not null,"
	 " primary key (source, tag)) strict;"},

	{4, "settings",
	 "create table setting ("
	 " name text primary key,"
	 " value text not null) strict;"},

	{5, "configuration an environment ran with",
	 "create table config_version ("
	 " number integer primary key,"
	 " project text not null,"
	 " environment text not null,"
	 " config_digest text not null check (length(config_digest) = 64),"
	 " deployment_id text,"
	 " who text,"
	 " created_ms integer not null) strict;"
	 "create index config_version_environment on config_version (project, environment, number);"
	 "create table config_entry ("
	 " version_number integer not null references config_version (number) on delete cascade,"
	 " position integer not null,"
	 " name text not null,"
	 " scope text,"
	 " level text not null,"
	 " place text not null,"
	 " version text,"
	 " fingerprint text not null check (length(fingerprint) = 64),"
	 " text_value text,"
	 " sealed text,"
	 " secret integer not null check (secret = 0 or text_value is null),"
	 " primary key (version_number, position)) strict;"},

	{6, "what environments were delivered with, and from which templates",
	 "create table delivered ("
	 " project text not null,"
	 " environment text not null,"
	 " file text not null,"
	 " settings_digest text not null check (length(settings_digest) = 64),"
	 " settings text not null,"
	 " deployment_id text,"
	 " used_ms integer not null,"
	 " primary key (project, environment)) strict;"
	 "create table template_use ("
	 " project text not null,"
	 " environment text not null,"
	 " position integer not null,"
	 " template text not null,"
	 " template_digest text not null check (length(template_digest) = 64),"
	 " primary key (project, environment, position)) strict;"
	 "create index template_use_template on template_use (template);"},

	{7, "what the search for secrets found in releases",
	 "create table release_scan ("
	 " release_digest text primary key check (length(release_digest) = 64),"
	 " project text not null,"
	 " rules_digest text not null,"
	 " findings text not null,"
	 " scanned_ms integer not null) strict;"
	 "create index release_scan_project on release_scan (project, rules_digest, scanned_ms);"},
};

const size_t model_migrations_count = ARRAY_LEN(model_migrations);
