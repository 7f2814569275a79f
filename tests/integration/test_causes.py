"""Why environments drift apart: each cause made for real on one side, then found at its key,
explained, put right, and gone. No look changes anything on the servers. What needs a root of
its own (packages, firewall, units) is in test_causes_hosts.py."""

import os
import ssl
import subprocess
from pathlib import Path

import pytest

from certificates import Authority
from test_collect import Web, nginx
from test_databases import mariadb, pg15, pg18  # noqa: F401
from testbed.servers import free_port


class Story:
    """staging and production with the same release. `found(KEY)` and `gone()` look, and
    insist that looking left the servers as they were."""

    def __init__(self, shop, servers=("stg", "prod")):
        self.shop = shop
        self.places = [shop.place(server) for server in servers]

    def look(self, *args):
        before = [place.snapshot() for place in self.places]
        result = self.shop.run(*args, "--json")
        assert [place.snapshot() for place in self.places] == before, "looking changed a server"
        assert result.code in (0, 9), str(result)
        return {finding["key"]: finding for finding in result.json["findings"]}

    def found(self, key, *severities, only=None, verb=("parity",)):
        """The finding at `key`; every finding's key begins with one of `only`."""
        findings = self.look(*verb)
        assert key in findings, f"{key} is not among {sorted(findings)}"
        finding = findings[key]
        assert finding["severity"] in severities, finding
        others = [k for k in findings if k != key and not k.startswith(tuple(only or [key]))]
        assert others == [], others
        assert finding["text"] and finding["advice"], finding
        # Shown to people too, with the same words.
        assert finding["subject"] in self.shop.run(*verb).out
        return finding

    def gone(self):
        assert self.look("parity") == {}


@pytest.fixture
def story(shop):
    return tell(shop)


def tell(shop, staging=None, production=None, servers=("stg", "prod"), **config):
    shop.config.update(config)
    shop.config["parity"] = {"skip": ["net", "unit", "pkg"], **config.get("parity", {})}
    shop.environment("staging", servers[0], **(staging or {}))
    shop.environment("production", servers[1], promote_from="staging", **(production or {}))
    shop.serve_all()
    shop.run.ok("deploy", "staging")
    shop.run.ok("promote", "staging", "production")
    return Story(shop, servers)


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# --- somebody SSH'd in ------------------------------------------------------------------


def test_somebody_logged_in_and_edited_a_file_by_hand(story, tmp_path):
    shop = story.shop
    story.gone()
    shop.sshd.on("prod", "cd srv/shop/current && sed -i 's/Welcome, this is/Hello from/' app/Shop.php")
    key = "file/app/Shop.php/content"
    finding = story.found(key, "high", only=["file/app/Shop.php"], verb=("drift", "production"))
    assert finding["kind"] == "hand_change"
    assert "edited" in finding["cause"] and "owner" in finding["cause"], finding["cause"]
    seen = story.found(key, "high", only=["file/app/Shop.php"])
    assert seen["id"] and "edited" in seen["cause"], seen
    patch = shop.run.ok("accept", finding["id"]).out
    assert "+\t\treturn \"Hello from {$this->name}\";" in patch, patch
    subprocess.run(["git", "apply", "--check", "-"], input=patch.encode(), cwd=shop.repo.dir, check=True)
    shop.run.ok("revert", finding["id"])
    assert "Welcome, this is" in (shop.place("prod").live_dir / "app/Shop.php").read_text()
    assert story.look("drift", "production") == {}
    story.gone()


def test_a_fix_that_was_never_replicated_is_accepted_into_the_code_and_deployed(story):
    """The other way out: the server is right, so the patch is committed and deployed everywhere."""
    shop = story.shop
    shop.sshd.on("prod", "cd srv/shop/current && echo 'User-agent: bad' >> public/robots.txt")
    finding = story.found("file/public/robots.txt/content", "high", only=["file/public/robots.txt"])
    patch = shop.run.ok("accept", finding["id"]).out
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=shop.repo.dir, check=True)
    shop.repo.commit("Keep the bad robot out")
    shop.run.ok("deploy", "staging")
    shop.run.ok("promote", "staging", "production")
    story.gone()


def test_a_file_somebody_left_behind_is_found(story):
    shop = story.shop
    shop.sshd.on("prod", "cd srv/shop/current && echo '<?php phpinfo();' > public/info.php")
    finding = story.found("file/public/info.php/", "high")
    assert "staging lacks public/info.php" in finding["text"]
    shop.sshd.on("prod", "rm srv/shop/current/public/info.php")
    story.gone()


# --- permissions ------------------------------------------------------------------------


def test_a_chmod_on_one_side_is_found_and_healed(story):
    shop = story.shop
    shop.sshd.on("prod", "chmod 600 srv/shop/current/public/index.php")
    finding = story.found("file/public/index.php/mode", "medium")
    assert "0600" in str(finding["cells"]) and "chmod" in finding["advice"]
    shop.run.ok("revert", finding["id"])
    story.gone()


@pytest.mark.root
def test_another_owner_and_another_capability_are_found(story):
    shop = story.shop
    shop.sshd.on("prod", "cd srv/shop/current && chown www-data README.md && PATH=$PATH:/usr/sbin:/sbin "
                         "setcap cap_net_bind_service=+ep bin/console")
    keys = ["file/README.md/owner", "file/bin/console/caps"]
    owner = story.found(keys[0], "medium", only=keys)
    assert "www-data" in str(owner["cells"]) and "chown" in owner["advice"]
    caps = story.found(keys[1], "high", only=keys)
    assert "net_bind_service" in str(caps["cells"]) and "setcap" in caps["advice"]
    shop.sshd.on("prod", "cd srv/shop/current && chown root README.md && PATH=$PATH:/usr/sbin:/sbin setcap -r bin/console")
    story.gone()


def test_configuration_that_is_shared_between_releases_is_looked_at(story):
    shop = story.shop
    for name in ("stg", "prod"):
        put(shop.place(name).path / "shared/config/limits.ini", "requests = 10\n")
    story.gone()
    shop.sshd.on("prod", "chmod 666 srv/shop/shared/config/limits.ini")
    finding = story.found("file/shared/config/limits.ini/mode", "medium")
    assert "0666" in str(finding["cells"])
    shop.sshd.on("prod", "chmod 644 srv/shop/shared/config/limits.ini")
    story.gone()


# --- secrets and environment variables --------------------------------------------------


def twin_places(shop, staging, production):
    """Places nobody deployed to with lockstep, each with a .env."""
    for name, text in (("stg", staging), ("prod", production)):
        shop.sshd.add(name)
        put(shop.sshd[name].place() / "index.php", "<?php\n")
        put(shop.sshd[name].place() / ".env", text)
    story = Story(shop)
    story.diff = ("diff", "stg:srv/shop", "prod:srv/shop", "--only", "env,file,endpoint,db")
    return story


def test_a_key_added_to_productions_env_and_never_to_stagings(shop):
    story = twin_places(shop, "APP_ENV=staging\n", "APP_ENV=production\n")
    assert story.look(*story.diff) == {}
    shop.sshd.on("prod", "echo SENTRY_DSN=https://canary-key@errors.example/4 >> srv/shop/.env")
    finding = story.found("env/SENTRY_DSN/", "high", verb=story.diff)
    assert finding["direction"] == "reference_has" and "lacks SENTRY_DSN" in finding["text"]
    assert "canary" not in shop.run(*story.diff, "--json").text + shop.run(*story.diff).text
    shop.sshd.on("stg", "echo SENTRY_DSN=https://other@errors.example/5 >> srv/shop/.env")
    assert story.look(*story.diff) == {}


def test_a_running_process_that_has_another_value_than_its_file(shop):
    story = twin_places(shop, "CACHE_TTL=60\n", "CACHE_TTL=60\n")
    workers = []
    try:
        for name, ttl in (("stg", "60"), ("prod", "5")):
            workers.append(subprocess.Popen(
                ["/bin/sh", "-c", "echo ready; exec sleep 600"], cwd=shop.sshd[name].place(), stdout=subprocess.PIPE,
                env={"PATH": "/usr/bin:/bin", "CACHE_TTL": ttl}, start_new_session=True))
            assert workers[-1].stdout.readline() == b"ready\n"
        finding = story.found("env/CACHE_TTL/running", "high", verb=story.diff)
        assert "differs from the file" in str(finding["cells"]) and "restart" in finding["advice"]
        workers[1].kill()
        workers[1].wait()
        workers[1] = subprocess.Popen(
            ["/bin/sh", "-c", "echo ready; exec sleep 600"], cwd=shop.sshd["prod"].place(), stdout=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "CACHE_TTL": "60"}, start_new_session=True)
        assert workers[1].stdout.readline() == b"ready\n"
        assert story.look(*story.diff) == {}
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


# --- third parties ----------------------------------------------------------------------


def key(mode, tail):
    return f"sk_{mode}_" + f"{tail}51H8xJqLk2Mn4Pq6Rs8Tu0Vw"


def test_a_live_key_in_staging_too_and_a_test_key_in_production(shop):
    (shop.folder / "staging.env").write_text("STRIPE_SECRET=" + key("live", "a") + "\n")
    (shop.folder / "production.env").write_text("STRIPE_SECRET=" + key("live", "b") + "\n")
    story = tell(
        shop, {"values_from": ["dotenv:staging.env"]}, {"values_from": ["dotenv:production.env"]},
        env={"STRIPE_SECRET": {"secret": True}}, files=[{"env": "dotenv", "path": ".env"}],
    )
    finding = story.found("endpoint/STRIPE_SECRET/mode", "critical")
    assert "live" in str(finding["cells"]) and "lockstep secret set staging STRIPE_SECRET" in finding["advice"]
    assert "51H8xJqLk2" not in shop.run("parity", "--json").text
    (shop.folder / "staging.env").write_text("STRIPE_SECRET=" + key("test", "a") + "\n")
    shop.run.ok("deploy", "staging")
    story.gone()


# Loopback is a server's own only where the server is this machine.
HERE = ("127.0.0.2", "127.0.0.3")


def service(limit):
    return Web(lambda handler: handler.reply(200, ("X-RateLimit-Limit", str(limit))))


def test_another_rate_limit_and_another_third_party_host(shop):
    with service(1000) as live, service(25) as test:
        story = tell(
            shop, {"values": {"PAYMENTS_URL": test.url}}, {"values": {"PAYMENTS_URL": live.url}},
            env={"PAYMENTS_URL": {"type": "url"}}, servers=HERE, files=[{"env": "dotenv", "path": ".env"}],
        )
        finding = story.found("endpoint/PAYMENTS_URL/rate_limit/x-ratelimit-limit", "medium")
        assert {"25", "1000"} <= {cell["text"] for cell in finding["cells"]} and "rate" in finding["text"]
        assert finding["advice"].startswith("ask for the same limits")
        shop.config["environments"]["staging"]["values"]["PAYMENTS_URL"] = live.url
        shop.save()
        shop.run.ok("deploy", "staging")
        story.gone()


def test_a_third_party_that_cannot_be_reached_from_one_side(shop):
    with service(10) as live:
        gone = f"http://127.0.0.1:{free_port()}"
        story = tell(
            shop, {"values": {"PAYMENTS_URL": gone}}, {"values": {"PAYMENTS_URL": live.url}},
            env={"PAYMENTS_URL": {"type": "url"}}, servers=HERE, files=[{"env": "dotenv", "path": ".env"}],
        )
        story.found("endpoint/PAYMENTS_URL/reachable", "high", only=["endpoint/PAYMENTS_URL/"])


# --- what stands in front ---------------------------------------------------------------


def test_no_cdn_before_staging_and_other_headers(shop, work):
    front = free_port()
    with Web(lambda h: h.reply(200, ("Cache-Control", "no-store"))) as origin:
        cdn = f"""server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass {origin.url}; proxy_pass_header Server;
            add_header CF-Ray 8f2a1b-LHR; add_header CF-Cache-Status HIT; }} }}"""
        with nginx(work / "nginx", cdn):
            story = tell(
                shop, {"values": {"APP_URL": origin.url}}, {"values": {"APP_URL": f"http://127.0.0.1:{front}"}},
                env={"APP_URL": {"type": "url"}}, parity={"urls": ["${APP_URL}/"], "only": ["http", "shape"]},
            )
            finding = story.found("shape/front/cdn", "medium", only=["shape/front/", "http/"])
            assert "Cloudflare" in str(finding["cells"]) and "CDN" in finding["text"] + finding["advice"]
            shop.config["environments"]["staging"]["values"]["APP_URL"] = f"http://127.0.0.1:{front}"
            shop.save()
            story.gone()


def test_an_older_protocol_and_a_certificate_that_ended(shop, work):
    authority = Authority(work / "ca")
    good = authority.issue("good", "127.0.0.1")
    ended = authority.issue("ended", "127.0.0.1", end="20240101000000Z")
    answer = lambda handler: handler.reply()  # noqa: E731
    with Web(answer, good) as production, Web(answer, good, ssl.TLSVersion.TLSv1_2) as old, Web(answer, ended) as late:
        story = tell(
            shop, {"values": {"APP_URL": production.url}}, {"values": {"APP_URL": production.url}},
            env={"APP_URL": {"type": "url"}}, parity={"urls": ["${APP_URL}/"], "only": ["tls"]},
        )
        story.gone()
        values = shop.config["environments"]["staging"]["values"]
        values["APP_URL"] = old.url
        shop.save()
        story.found("tls/{host}/protocol", "medium", only=["tls/"])
        values["APP_URL"] = late.url
        shop.save()
        finding = story.found("tls/{host}/days_left", "critical", only=["tls/"])
        assert "renew" in finding["advice"]
        values["APP_URL"] = production.url
        shop.save()
        story.gone()


# --- database schemas -------------------------------------------------------------------

LAST_MONTH = """create table schema_migrations(version varchar(255) primary key);
insert into schema_migrations values ('20260901000000');
create table users(id int primary key, email varchar(255) not null);"""
THIS_MONTH = """create table orders(id int primary key, vat numeric(10,2));
alter table users add column phone varchar(32); create index users_email on users(email);
insert into schema_migrations values ('20261001000000');"""


def databases(shop, staging, production, named=True):
    """Both by `parity: databases:`, or found by the application's own variables."""
    (shop.folder / "staging.env").write_text(f"DATABASE_URL={staging}\n")
    (shop.folder / "production.env").write_text(f"DATABASE_URL={production}\n")
    parity = {"skip": [], "only": ["db"]} | ({"databases": {"main": "${DATABASE_URL}"}} if named else {})
    return tell(
        shop, {"values_from": ["dotenv:staging.env"]}, {"values_from": ["dotenv:production.env"]},
        env={"DATABASE_URL": {"secret": True}}, files=[{"env": "dotenv", "path": ".env"}], parity=parity,
    )


@pytest.mark.parametrize("named", [True, False], ids=["named", "by its variables"])
def test_migrations_applied_to_production_only_on_postgresql(shop, pg15, named):  # noqa: F811
    stg, prod = (pg15.create(f"causes_{name}_{named}".lower(), LAST_MONTH) for name in ("stg", "prod"))
    story = databases(shop, stg, prod, named)
    story.gone()
    pg15.psql(f"causes_prod_{named}".lower(), THIS_MONTH + "create extension pg_trgm;")
    found = story.look("parity")
    db = "db/" + next(iter(found)).split("/")[1]
    told = {
        f"{db}/table/orders": "high", f"{db}/table/users/column/phone": "high",
        f"{db}/table/users/index/users_email": "high", f"{db}/extension/pg_trgm": "high", f"{db}/migration": "critical",
    }
    for start, severity in told.items():
        match = [finding for k, finding in found.items() if k.startswith(start)]
        assert match and match[0]["severity"] == severity, (start, sorted(found))
        assert match[0]["advice"] and match[0]["direction"] in ("reference_has", "differs", "both"), match[0]
    worst = next(iter(found))
    assert worst.startswith(f"{db}/migration"), sorted(found)
    pg15.psql(f"causes_stg_{named}".lower(), THIS_MONTH + "create extension pg_trgm;")
    story.gone()


def test_another_version_of_the_database(shop, pg15, pg18):  # noqa: F811
    stg, prod = (server.create("causes_version", LAST_MONTH) for server in (pg15, pg18))
    story = databases(shop, stg, prod)
    finding = story.found("db/main/server/version", "high", only=["db/main/"])
    assert "upgrade the database of staging" in finding["advice"]
    assert not any("/table/" in k or "/migration/" in k for k in story.look("parity")), "the schema is the same"


def test_migrations_applied_to_production_only_on_mariadb(shop, mariadb):  # noqa: F811
    stg, prod = (mariadb.create(f"causes_{name}", LAST_MONTH) for name in ("stg", "prod"))
    story = databases(shop, stg, prod)
    story.gone()
    mariadb.sql("causes_prod", THIS_MONTH)
    found = story.look("parity")
    for start in ("table/orders", "table/users/column/phone", "table/users/index/users_email", "migration"):
        assert any(k.startswith(f"db/main/{start}") for k in found), (start, sorted(found))
    mariadb.sql("causes_stg", THIS_MONTH)
    story.gone()


# --- dependency versions ----------------------------------------------------------------


def test_a_lock_file_that_asks_for_another_library_is_not_deployed_everywhere(story):
    """The libraries are of the release: an update on one side is an edit of its lock file."""
    shop = story.shop
    for release, version in (("v2.1", "2.1.0"),):
        shop.repo.write("package-lock.json", '{"lockfileVersion": 3, "packages": {"node_modules/pay": {"version": "%s"}}}\n' % version)
        shop.repo.commit(release)
    shop.run.ok("deploy", "staging")
    shop.run.ok("promote", "staging", "production")
    story.gone()
    shop.sshd.on("prod", "sed -i s/2.1.0/2.3.0/ srv/shop/current/package-lock.json")
    finding = story.found("file/package-lock.json/content", "high",
                          only=["file/package-lock.json/", "runtime/node/lock/package-lock.json"])
    shop.run.ok("revert", finding["id"])
    story.gone()


def test_what_is_not_there_is_named_once_and_belongs_to_nobody(shop, pg15):  # noqa: F811
    stg, prod = (pg15.create(f"causes_things_{name}", LAST_MONTH) for name in ("stg", "prod"))
    story = databases(shop, stg, prod)
    story.gone()
    pg15.psql("causes_things_prod", "create view v as select 1 as one; create sequence sq; create table pt(id int);"
              "create function fx() returns int language sql as 'select 1'; create type mood as enum('a', 'b');")
    found = set(story.look("parity"))
    parts = {key.rstrip("/").split("/")[2] for key in found}
    assert parts == {"view", "sequence", "table", "function", "enum"} and len(found) == 5, found
    assert "db/main/function/fx()/" in found and "db/main/view/v/" in found, found
