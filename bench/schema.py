#!/usr/bin/python3
"""Two PostgreSQL databases of a thousand tables: how long until it is known where their
schemas differ. Beside it two `pg_dump --schema-only` and a `diff`, which is what people do.
Both sides run their two databases one after the other, as a pipe would."""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from testbed.databases import Postgresql  # noqa: E402

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
SCHEMA = """do $$ begin for i in 1..{tables} loop
execute format('create table t%s (id bigserial primary key, name varchar(80) not null, price numeric(10,2) default 0
 check (price >= 0), owner bigint, state text default ''new'', a int, b int, at timestamptz default now())', i);
execute format('create index t%s_name on t%s (name)', i, i);
execute format('create index t%s_state on t%s (state) where a > 1', i, i);
if i > 1 then execute format('alter table t%s add constraint t%s_owner foreign key (owner) references t%s', i, i, i - 1); end if;
if i % 10 = 0 then execute format('create view v%s as select id, name from t%s where a > 1', i, i); end if;
if i % 200 = 0 then commit; end if;
end loop; end $$"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    tool = Path(options.program).resolve().parent / "bench" / "bench_schema"
    server = Postgresql(PROGRAMS, "-c max_locks_per_transaction=4096")
    try:
        urls = [server.create(name, SCHEMA.format(tables=options.tables)) for name in ("a", "b")]
        server.psql("b", "alter table t7 add extra int")
        flags = f"-h {server.socket} -p {server.port} -U {server.user}"
        folder = server.folder.path
        peer = (f"{PROGRAMS}/pg_dump --schema-only {flags} a > {folder}/bench-a; {PROGRAMS}/pg_dump --schema-only {flags} b"
                f" > {folder}/bench-b; diff {folder}/bench-a {folder}/bench-b")
        ours, theirs = [], []
        for _ in range(options.runs):
            begun = time.monotonic()
            done = subprocess.run([tool], input="\n".join(urls), capture_output=True, text=True)
            ours.append(time.monotonic() - begun)
            assert done.returncode == 0, done.stderr
            begun = time.monotonic()
            subprocess.run(["sh", "-c", peer], capture_output=True)
            theirs.append(time.monotonic() - begun)
        report = json.loads(done.stdout)
        assert report["different"] == 3, report  # type and null of the column, and the fingerprint
    finally:
        server.stop()
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"{options.tables} tables, {report['facts']} facts each; medians of {options.runs}")
    print(f"  lockstep, two databases read and compared   {statistics.median(ours):6.2f} s")
    print(f"  pg_dump --schema-only twice, then diff      {statistics.median(theirs):6.2f} s")
    print(f"  ratio {ratio:.2f}, goal: below 1 — {'met' if ratio < 1 else 'MISSED'}")
    return 0 if ratio < 1 else 1


if __name__ == "__main__":
    sys.exit(main())
