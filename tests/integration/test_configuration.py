"""Configuration end to end: the contract, precedence, rendered files, deployments of
configuration only, and that no secret is left anywhere it should not be."""

import base64
import json
import os
import sqlite3
import stat
import threading
import urllib.parse
from pathlib import Path

import pytest
from testbed.servers import descendants

CANARY = "canary-7f3a!9c/2e+b\"d1"


@pytest.fixture
def configured(shop):
    """dev (two servers in groups) and production, with .env files beside lockstep.yml
    that are no part of the repository."""
    shop.config["env"] = {
        "APP_URL": {"type": "url", "unique": True},
        "DB_PASSWORD": {"secret": True, "unique": True},
        "LOG_LEVEL": {"type": "enum", "one_of": ["debug", "info"], "default": "info"},
        "WORKERS": {"type": "int", "default": 2},
    }
    shop.config["files"] = [{"template": "deploy/app.tpl", "path": "config/app.conf", "permissions": "0600"}]
    shop.environment("dev", "web1")
    shop.environment("production", "web2")
    shop.config["environments"]["dev"] |= {
        "values": {"APP_URL": "http://dev.example.com"}, "values_from": ["dotenv:deploy/dev.env"],
    }
    shop.config["environments"]["production"] |= {
        "values": {"APP_URL": "http://www.example.com"}, "values_from": ["dotenv:deploy/production.env"],
    }
    shop.save()
    (shop.folder / "deploy").mkdir()
    write(shop, "deploy/app.tpl", "url ${APP_URL}\npassword {{ DB_PASSWORD | json }}\nworkers %WORKERS%\n")
    write(shop, "deploy/dev.env", "DB_PASSWORD=for-development\n")
    write(shop, "deploy/production.env", "DB_PASSWORD=for-production\n")
    return shop


def write(shop, path, text):
    (shop.folder / path).write_text(text)


def rendered(shop, server="web1", path="config/app.conf"):
    return (shop.place(server).live_dir / path).read_text()


@pytest.mark.san
def test_a_template_is_rendered_into_the_activation(configured):
    configured.run.ok("deploy", "dev")
    assert rendered(configured) == 'url http://dev.example.com\npassword "for-development"\nworkers 2\n'
    file = configured.place().live_dir / "config/app.conf"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not file.is_symlink()


@pytest.mark.san
def test_only_the_configuration_is_deployed_when_only_it_changed(configured):
    configured.run.ok("deploy", "dev")
    before = configured.place().live_dir
    write(configured, "deploy/dev.env", "DB_PASSWORD=another\n")
    result = configured.run.ok("deploy", "dev", "--json")
    place = configured.place()
    assert '"another"' in rendered(configured)
    assert place.live_dir != before
    assert '"for-development"' in (before / "config/app.conf").read_text()
    assert (place.live_dir / "README.md").stat().st_ino == (before / "README.md").stat().st_ino
    assert json.loads(result.out.splitlines()[-1])["kind"] == "config"
    again = configured.run.ok("deploy", "dev")
    assert "unchanged" in again.out + again.err
    assert configured.place().live_dir == place.live_dir


def test_config_only_takes_the_release_that_is_live(configured):
    configured.run.ok("deploy", "dev")
    release = configured.place().live.split("-")[1]
    configured.repo.write("new.txt", "new").commit("Not to be deployed yet")
    write(configured, "deploy/dev.env", "DB_PASSWORD=another\n")
    other = configured.another_laptop()
    other.ok("deploy", "dev", "--config-only")
    assert configured.place().live.split("-")[1] == release
    assert '"another"' in rendered(configured)
    assert not (configured.place().live_dir / "new.txt").exists()
    # Nothing of the release came to this machine.
    assert not list((Path(other.env["LOCKSTEP_HOME"]) / "store/objects").rglob("*.zst"))


def test_another_laptop_sees_the_same_configuration(configured):
    configured.run.ok("deploy", "dev")
    live = configured.place().live
    result = configured.another_laptop().ok("deploy", "dev")
    assert "unchanged" in result.out + result.err
    assert configured.place().live == live


@pytest.mark.san
def test_the_configuration_goes_back_alone(configured):
    configured.run.ok("deploy", "dev")
    configured.repo.write("new.txt", "new").commit("Add a file")
    configured.run.ok("deploy", "dev")
    write(configured, "deploy/dev.env", "DB_PASSWORD=wrong\n")
    configured.run.ok("deploy", "dev")
    configured.run.ok("rollback", "dev", "--config")
    assert '"for-development"' in rendered(configured)
    assert (configured.place().live_dir / "new.txt").exists()


def test_a_rollback_brings_the_configuration_of_that_time(configured):
    configured.run.ok("deploy", "dev")
    configured.repo.write("new.txt", "new").commit("Add a file")
    write(configured, "deploy/dev.env", "DB_PASSWORD=second\n")
    configured.run.ok("deploy", "dev")
    configured.run.ok("rollback", "dev")
    assert '"for-development"' in rendered(configured)
    assert not (configured.place().live_dir / "new.txt").exists()


def test_the_health_check_decides_about_a_configuration_too(configured):
    configured.config["deploy"]["health"] = {"command": "grep -q for-development config/app.conf", "within": "1s"}
    configured.save()
    configured.run.ok("deploy", "dev")
    live = configured.place().live
    write(configured, "deploy/dev.env", "DB_PASSWORD=breaks-it\n")
    result = configured.run("deploy", "dev")
    assert result.code == 8
    assert configured.place().live == live
    assert '"for-development"' in rendered(configured)


@pytest.mark.san
def test_a_required_value_that_is_missing_stops_everything(configured):
    write(configured, "deploy/dev.env", "OTHER=1\n")
    result = configured.run("deploy", "dev")
    assert result.code == 1
    assert "DB_PASSWORD" in result.err
    assert configured.place().live is None


def test_a_unique_value_may_not_be_equal_elsewhere(configured):
    write(configured, "deploy/dev.env", "DB_PASSWORD=for-production\n")
    result = configured.run("deploy", "dev")
    assert result.code == 1
    assert "DB_PASSWORD" in result.err and "production" in result.err
    assert "for-production" not in result.err + result.out
    assert configured.place().live is None


def test_test_keys_do_not_go_to_production_nor_live_keys_elsewhere(configured):
    configured.config["env"]["STRIPE_SECRET"] = {"secret": True, "live_only_in": "production"}
    configured.save()
    test_key, live_key = "sk_test_" + "4eC39HqLyjWDarjtT1zdp7dc", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
    write(configured, "deploy/dev.env", f"DB_PASSWORD=a\nSTRIPE_SECRET={live_key}\n")
    write(configured, "deploy/production.env", f"DB_PASSWORD=b\nSTRIPE_SECRET={test_key}\n")
    for environment in ("dev", "production"):
        result = configured.run("deploy", environment)
        assert result.code == 1, str(result)
        assert "STRIPE_SECRET" in result.err
        assert "4eC39" not in result.err
    write(configured, "deploy/dev.env", f"DB_PASSWORD=a\nSTRIPE_SECRET={test_key}\n")
    write(configured, "deploy/production.env", f"DB_PASSWORD=b\nSTRIPE_SECRET={live_key}\n")
    configured.run.ok("deploy", "dev")
    configured.run.ok("deploy", "production")


def test_two_values_of_one_rank_are_refused_with_both_places(configured):
    configured.config["environments"]["dev"]["values_from"].append("dotenv:deploy/more.env")
    configured.save()
    write(configured, "deploy/more.env", "\nDB_PASSWORD=x\n")
    result = configured.run("deploy", "dev")
    assert result.code == 1
    assert "deploy/dev.env:1" in result.err and "deploy/more.env:2" in result.err


def test_servers_and_groups_have_values_of_their_own(configured):
    configured.sshd.add("job1")
    dev = configured.config["environments"]["dev"]
    dev["servers"] = {"web": ["web1"], "worker": ["job1"]}
    dev["values_for"] = {"worker": {"WORKERS": 8}, "job1": {"LOG_LEVEL": "debug"}}
    dev["hooks"] = {"after_activate": 'echo "level $LOG_LEVEL" > level'}
    configured.config["deploy"]["generated"] = ["level"]
    configured.save()
    configured.run.ok("deploy", "dev")
    assert "workers 2" in rendered(configured)
    assert "workers 8" in rendered(configured, "job1")
    assert (configured.place("job1").live_dir / "level").read_text() == "level debug\n"
    assert (configured.place("web1").live_dir / "level").read_text() == "level info\n"
    explained = configured.run.ok("config", "explain", "WORKERS", "--env", "dev").out
    assert "group" in explained and "default" in explained and "lockstep.yml:" in explained


def test_an_unknown_variable_in_a_template_has_its_line(configured):
    write(configured, "deploy/app.tpl", "fine\nurl ${APP_URI}\n")
    result = configured.run("deploy", "dev")
    assert result.code != 0
    assert "deploy/app.tpl:2" in result.err and "APP_URL" in result.err
    assert configured.place().live is None


@pytest.mark.san
def test_secrets_reach_hooks_by_descriptor_only(configured):
    write(configured, "deploy/dev.env", "DB_PASSWORD='it''s \"quoted\" $HOME'\n".replace("''", "'\"'\"'"))
    write(configured, "deploy/dev.env", 'DB_PASSWORD="two words; $(touch no)"\n')
    configured.config["deploy"]["hooks"] = {
        "after_activate": 'env | grep -c "^DB_PASSWORD" > count; . /dev/fd/3; printf %s "$DB_PASSWORD" > seen; echo "it is $DB_PASSWORD"'
    }
    configured.config["deploy"]["generated"] = ["count", "seen"]
    configured.save()
    result = configured.run.ok("deploy", "dev")
    live = configured.place().live_dir
    assert (live / "count").read_text() == "0\n"
    assert (live / "seen").read_text() == "two words; $(touch no)"
    assert "it is ***" in result.err + result.out
    assert "two words" not in result.err + result.out


def test_a_rendered_file_edited_by_hand_is_told_without_its_content(configured):
    configured.run.ok("deploy", "dev")
    file = configured.place().live_dir / "config/app.conf"
    file.write_text(file.read_text() + "added by hand\n")
    status = configured.run.ok("status").out
    assert "config/app.conf" in status
    configured.run.ok("deploy", "dev")
    assert "added by hand" not in rendered(configured)
    aside = [path for path in (configured.place().path / ".lockstep/aside").rglob("app.conf")]
    assert len(aside) == 1 and "added by hand" in aside[0].read_text()


def test_server_check_says_when_a_file_cannot_be_given_to_its_group(configured):
    configured.config["files"][0]["group"] = "no-such-group"
    configured.save()
    result = configured.run("server", "check", "dev")
    assert result.code != 0 and "no-such-group" in result.out + result.err
    refused = configured.run("deploy", "dev")
    assert refused.code != 0 and "no-such-group" in refused.err
    assert configured.place().live is None


def test_config_diff_shows_what_is_missing(configured):
    write(configured, "deploy/dev.env", "DB_PASSWORD=a\nSENTRY_DSN=x\n")
    result = configured.run("config", "diff", "dev", "production")
    assert result.code == 9
    lines = {line.split()[1]: line.split()[0] for line in result.out.splitlines()[1:-1]}
    assert lines["SENTRY_DSN"] == "missing"
    assert lines["DB_PASSWORD"] == "expected"
    assert "for-production" not in result.out


def test_config_diff_by_names_asks_nobody_for_values(configured):
    result = configured.run.ok("config", "diff", "dev", "production", "--names", "--all")
    assert "(there)" in result.out and "***" not in result.out
    write(configured, "deploy/dev.env", "OTHER=1\n")
    result = configured.run("config", "diff", "dev", "production", "--names")
    assert result.code == 9 and "missing" in result.out


def test_config_history_and_what_changed_since(configured):
    configured.run.ok("deploy", "dev")
    write(configured, "deploy/dev.env", "DB_PASSWORD=another\n")
    changed = configured.run("config", "diff", "dev").out
    assert "different" in changed and "DB_PASSWORD" in changed and "another" not in changed
    configured.run.ok("deploy", "dev")
    write(configured, "deploy/dev.env", "DB_PASSWORD=a-third\n")
    configured.config["environments"]["dev"]["values"]["APP_URL"] = "http://new.example.com"
    configured.save()
    planned = configured.run.ok("plan", "dev").out
    assert "http://dev.example.com -> http://new.example.com" in planned
    assert "DB_PASSWORD" in planned and "a-third" not in planned and "LOG_LEVEL" not in planned
    assert "only the configuration changes" in planned
    write(configured, "deploy/dev.env", "DB_PASSWORD=another\n")
    configured.config["environments"]["dev"]["values"]["APP_URL"] = "http://dev.example.com"
    configured.save()
    versions = json.loads(configured.run.ok("config", "history", "dev", "--json").out)["versions"]
    assert len(versions) == 2
    same = configured.run.ok("config", "diff", "dev").out
    assert "different" not in same


def test_an_earlier_line_of_a_sealed_file_is_told(configured):
    """It opens like any other; only what was deployed before tells."""
    configured.config["environments"]["dev"]["values_from"] = ["sealed:deploy/dev.sealed"]
    configured.save()
    (configured.folder / "first").write_text("canary-1")
    (configured.folder / "second").write_text("canary-2")
    lines = []
    for name in ("first", "second"):
        with (configured.folder / name).open() as value:
            process = configured.run.start("secret", "set", "dev", "DB_PASSWORD", stdin=value)
            process.communicate(timeout=60)
            assert process.returncode == 0
        lines.append((configured.folder / "deploy/dev.sealed").read_text())
    assert "put an earlier value back" not in configured.run.ok("deploy", "dev").err
    write(configured, "deploy/dev.sealed", lines[0])
    result = configured.run.ok("deploy", "dev")
    assert "DB_PASSWORD is version 1" in result.err and "put an earlier value back" in result.err
    assert '"canary-1"' in rendered(configured)


def test_what_has_become_a_secret_is_not_shown_from_history(configured):
    configured.config["env"]["LATER"] = {}
    configured.config["environments"]["dev"]["values"]["LATER"] = "canary-plain"
    configured.config["environments"]["production"]["values"]["LATER"] = "x"
    configured.save()
    configured.run.ok("deploy", "dev")
    for environment in ("dev", "production"):
        del configured.config["environments"][environment]["values"]["LATER"]
    configured.config["env"]["LATER"] = {"secret": True}
    configured.save()
    write(configured, "deploy/dev.env", "DB_PASSWORD=for-development\nLATER=changed\n")
    shown = configured.run("config", "diff", "dev", "--all")
    assert "LATER" in shown.out and "different" in shown.out
    assert "canary-plain" not in shown.out + shown.err


def test_a_variable_of_a_provider_in_the_health_url(configured):
    configured.serve = configured.sshd["web1"].serve()
    configured.config["deploy"]["health"] = {"url": "http://127.0.0.1:${WEB_PORT}/up", "within": "5s"}
    write(configured, "deploy/dev.env", f"DB_PASSWORD=a\nWEB_PORT={configured.sshd.web_port}\n")
    configured.config["env"]["WEB_PORT"] = {"type": "int", "required": ["dev"]}
    configured.save()
    result = configured.run.ok("deploy", "dev")
    assert "verified" in result.out


def test_a_secret_that_says_latest_does_not_go_back(configured):
    configured.config["env"]["API_TOKEN"] = {"secret": True, "on_rollback": "latest"}
    configured.save()
    write(configured, "deploy/app.tpl", "password ${DB_PASSWORD}\ntoken ${API_TOKEN}\n")
    write(configured, "deploy/dev.env", "DB_PASSWORD=first\nAPI_TOKEN=revoked-since\n")
    write(configured, "deploy/production.env", "DB_PASSWORD=p\nAPI_TOKEN=p\n")
    configured.run.ok("deploy", "dev")
    configured.repo.write("new.txt", "new").commit("Add a file")
    write(configured, "deploy/dev.env", "DB_PASSWORD=second\nAPI_TOKEN=of-today\n")
    configured.run.ok("deploy", "dev")
    configured.run.ok("rollback", "dev")
    assert rendered(configured) == "password first\ntoken of-today\n"
    assert not (configured.place().live_dir / "new.txt").exists()
    # Without the copy this machine kept it says which value is missing, and changes nothing.
    configured.run.ok("deploy", "dev")
    live = configured.place().live
    home = Path(configured.run.env["LOCKSTEP_HOME"])
    with sqlite3.connect(home / "state.db") as database:
        (copy,) = database.execute("select sealed from config_entry where name = 'DB_PASSWORD' limit 1").fetchone()
    database.close()
    assert any(copy.encode() in file.read_bytes() for file in home.glob("state.db*"))
    assert "removed" in configured.run.ok("secret", "revoke", "dev", "DB_PASSWORD").out
    # Not only forgotten: overwritten.
    assert not any(copy.encode() in file.read_bytes() for file in home.glob("state.db*"))
    write(configured, "deploy/dev.env", "DB_PASSWORD=second\nAPI_TOKEN=of-tomorrow\n")
    refused = configured.run("rollback", "dev")
    assert refused.code == 5 and "DB_PASSWORD" in refused.err
    assert configured.place().live == live


def test_import_seals_what_is_secret_and_shows_differences(configured):
    configured.sshd.add("web3")
    configured.config["environments"]["dev"]["servers"] = ["web1", "web3"]
    configured.save()
    for server, text in (("web1", 'NAME="My Shop"\nDB_PASSWORD=abc-of-web1\nDEBUG=true\n'),
                         ("web3", 'NAME="My Shop"\nDB_PASSWORD=abc-of-web1\n')):
        shared = configured.place(server).path / "shared"
        shared.mkdir(parents=True)
        (shared / ".env").write_text(text)
    result = configured.run.ok("config", "import", "dev", "--from-server")
    assert "DEBUG: only on 1 server" in result.out
    assert "NAME: My Shop" in result.out and "abc-of-web1" not in result.out + result.err
    assert "web1: shared/.env: 3 variables" in result.out
    sealed = (configured.folder / "deploy/dev.sealed").read_text()
    assert "DB_PASSWORD 1 " in sealed and "abc-of-web1" not in sealed
    assert configured.run.ok("secret", "get", "dev", "DB_PASSWORD").out.strip() == "abc-of-web1"
    configured.run.ok("config", "import", "dev", "--from-server")
    assert (configured.folder / "deploy/dev.sealed").read_text() == sealed
    assert not (configured.place().path / ".lockstep").exists()


def test_import_takes_what_looks_random_for_a_secret(configured):
    write(configured, "old.env", "PARTNER=q8Zr2LmV0xTt5YbN7cKd3WfH\nMAIL_PWD=short\nFOLDER=/srv/app2024/shared0/storage1\n")
    result = configured.run.ok("config", "import", "dev", "old.env")
    assert "FOLDER: /srv/app2024/shared0/storage1" in result.out
    assert "PARTNER: { secret: true }" in result.out and "MAIL_PWD: { secret: true }" in result.out
    assert "q8Zr2LmV" not in result.out + result.err and "short" not in result.out + result.err


def test_what_a_build_bakes_in_is_put_in_at_deployment(configured):
    configured.config["env"]["VITE_API_URL"] = {"type": "url"}
    configured.config["files"].append({"substitute": "public/assets/*.js"})
    for name in ("dev", "production"):
        configured.config["environments"][name]["values"]["VITE_API_URL"] = f"https://api.{name}.example.com"
    configured.save()
    configured.repo.write("public/assets/app.js", 'fetch("__VITE_API_URL__/orders");\n')
    configured.repo.write("public/assets/other.js", "let __proto__ = 1;\n").commit("Add scripts")
    configured.run.ok("deploy", "dev")
    configured.run.ok("deploy", "production")
    assert rendered(configured, "web1", "public/assets/app.js") == 'fetch("https://api.dev.example.com/orders");\n'
    assert rendered(configured, "web2", "public/assets/app.js") == 'fetch("https://api.production.example.com/orders");\n'
    assert rendered(configured, "web1", "public/assets/other.js") == "let __proto__ = 1;\n"
    assert configured.place("web1").live.split("-")[1] == configured.place("web2").live.split("-")[1]


# --- nothing is left -------------------------------------------------------------------


def forms(value):
    """What encodings make of a value; base64 in the middle of a text too."""
    raw = value.encode()
    found = {raw, urllib.parse.quote(value, safe="").encode(), json.dumps(value)[1:-1].encode(), raw.hex().encode(),
             raw.hex().upper().encode()}
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(b"x" * before + raw)[4 if before else 0 : -4])
    return found


def leaks(folder, wanted, skip=()):
    hits = []
    for path in Path(folder).rglob("*"):
        if path.is_symlink() or not path.is_file() or any(part in str(path) for part in skip):
            continue
        content = path.read_bytes()
        hits += [f"{path}: {form!r}" for form in wanted if form in content]
    return hits


class ProcessWatch(threading.Thread):
    """Reads the arguments and the environment of every process below ours."""

    def __init__(self, roots, wanted):
        super().__init__(daemon=True)
        self.roots, self.wanted, self.over = roots, wanted, threading.Event()
        self.hits, self.seen = [], 0

    def run(self):
        while not self.over.wait(0.005):
            for root in self.roots():
                for pid in [root, *descendants(root)]:
                    for name in ("cmdline", "environ"):
                        try:
                            content = Path(f"/proc/{pid}/{name}").read_bytes()
                        except OSError:
                            continue
                        self.seen += 1
                        self.hits += [f"{pid} {name}" for form in self.wanted if form in content]


@pytest.mark.san
def test_canaries_are_found_nowhere(configured):
    wanted = forms(CANARY)
    write(configured, "deploy/dev.env", f"DB_PASSWORD='{CANARY}'\n")
    configured.config["deploy"]["hooks"] = {
        "before_activate": '. /dev/fd/3; echo "plain $DB_PASSWORD"; printf %s "$DB_PASSWORD" | base64 -w0; echo;'
                           ' printf %s "$DB_PASSWORD" | od -An -tx1 | tr -d " \\n"; echo; sleep 0.3',
        "after_live": '. /dev/fd/3; echo "failing with $DB_PASSWORD" >&2; exit 3',
    }
    configured.save()
    process = configured.run.start("deploy", "dev", env={"TMPDIR": configured.work / "tmp"})
    os.makedirs(configured.work / "tmp", exist_ok=True)
    watch = ProcessWatch(lambda: [process.pid, *configured.sshd["web1"].sessions()], wanted)
    watch.start()
    out, err = process.communicate(timeout=120)
    watch.over.set()
    watch.join()
    assert process.returncode == 0, err.decode()
    assert watch.seen > 20
    assert watch.hits == []
    assert b"plain ***" in out + err
    assert not [form for form in wanted if form in out + err]
    for verb in (("config", "explain", "DB_PASSWORD", "--env", "dev"), ("config", "diff", "dev", "production", "--all"),
                 ("log",), ("status", "--json"), ("plan", "dev", "--json"), ("config", "history", "dev", "--json")):
        shown = configured.run(*verb)
        assert not [form for form in wanted if form in (shown.out + shown.err).encode()], verb
    # On this machine: state, logs, temporary files. On the server: everything but the
    # rendered files themselves, which only the owner reads.
    assert leaks(configured.run.env["LOCKSTEP_HOME"], wanted) == []
    assert leaks(configured.work / "tmp", wanted) == []
    place = configured.place()
    assert leaks(place.path, wanted, skip=("config/app.conf", ".lockstep/rendered/")) == []
    for path in (place.path / ".lockstep/rendered").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    # A rollback of the configuration prints what it was; it is masked too.
    write(configured, "deploy/dev.env", "DB_PASSWORD=harmless-one\n")
    configured.config["deploy"]["hooks"] = {"after_activate": "cat config/app.conf"}
    configured.save()
    configured.run.ok("deploy", "dev")
    back = configured.run.ok("rollback", "dev", "--config")
    assert not [form for form in wanted if form in (back.out + back.err).encode()]
    assert leaks(configured.run.env["LOCKSTEP_HOME"], wanted) == []


def test_a_group_goes_back_to_one_configuration_or_not_at_all(configured):
    """web3 came later: it never had what the first deployment rendered."""
    configured.run.ok("deploy", "dev")
    first = configured.run.ok("log", "--json").json["deployments"][0]["deployment"]
    configured.sshd.add("web3")
    configured.config["environments"]["dev"]["servers"] = ["web1", "web3"]
    configured.save()
    for number in (2, 3):
        write(configured, "deploy/dev.env", f"DB_PASSWORD=number-{number}\n")
        configured.repo.write("number.txt", str(number)).commit(str(number))
        configured.run.ok("deploy", "dev")
    live = [configured.place(name).live for name in ("web1", "web3")]
    result = configured.run("rollback", "dev", "--to", first)
    assert result.code == 5, str(result)
    assert "web3 does not keep release" in result.err and "that web1 goes back to" in result.err
    assert [configured.place(name).live for name in ("web1", "web3")] == live
    configured.run.ok("rollback", "dev")
    assert '"number-2"' in rendered(configured, "web1")
    assert '"number-2"' in rendered(configured, "web3")
    assert configured.run("status", "dev").code == 0
