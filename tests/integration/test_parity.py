"""Environments held against each other, end to end: what is found, told, put right, and gone."""

import json
import sqlite3
import subprocess

import pytest

from conftest import ROOT


def alike(shop):
    """dev and staging with the same release, alike in everything. The ports that others use on
    this machine come and go while tests run."""
    shop.config["parity"] = {"skip": ["net"]}
    shop.environment("dev", "dev1")
    shop.environment("staging", "stg1", promote_from="dev")
    shop.serve_all()
    shop.run.ok("deploy", "dev")
    shop.run.ok("promote", "dev", "staging")
    return shop


def keys(result):
    return {finding["key"]: finding for finding in result.json["findings"]}


@pytest.mark.san
def test_two_folders_nobody_deployed_to_are_compared_without_any_file(shop, tmp_path):
    for name, line in (("stg", "A=1\n"), ("prod", "A=1\nSENTRY_DSN=https://x.example/1\n")):
        folder = tmp_path / name
        (folder / "app").mkdir(parents=True)
        (folder / ".env").write_text(line)
        (folder / "app/Pay.php").write_text("<?php // one\n")
    (tmp_path / "prod/app/Pay.php").write_text("<?php // two\n")
    shop.run.folder = tmp_path
    result = shop.run("diff", tmp_path / "stg", tmp_path / "prod", "--json")
    assert result.code == 9, str(result)
    found = keys(result)
    assert any("SENTRY_DSN" in key for key in found), found
    assert any(key.startswith("file/app/Pay.php") for key in found), found
    assert "x.example" not in result.text, "a value was shown"
    table = shop.run("diff", tmp_path / "stg", tmp_path / "prod").out
    assert "SENTRY_DSN" in table and "not checked (why: --coverage)" in table


def test_environments_made_alike_show_nothing_ten_times_over(shop):
    alike(shop)
    for _ in range(10):
        result = shop.run("parity", "--json")
        assert result.code == 0, str(result)
        assert result.json["findings"] == []
        assert 0 < result.json["coverage"] < 100, "what was not checked is counted"


@pytest.mark.san
def test_a_hand_edit_is_found_explained_put_back_and_gone(shop, tmp_path):
    alike(shop)
    assert shop.run("drift", "staging").code == 0
    readme = shop.place("stg1").live_dir / "README.md"
    before = readme.read_bytes()
    readme.write_text("edited by hand\n")
    result = shop.run("drift", "staging", "--json")
    assert result.code == 9, str(result)
    found = keys(result)
    assert list(found) == ["file/README.md/content"], found
    finding = found["file/README.md/content"]
    assert finding["kind"] == "hand_change" and "edited" in finding["cause"]
    again = keys(shop.run("drift", "staging", "--json"))["file/README.md/content"]
    assert again["id"] == finding["id"] and again["first_seen"] == finding["first_seen"]
    assert "file/README.md/content" in keys(shop.run("parity", "--json"))

    patch = shop.run.ok("accept", finding["id"]).out
    assert "-# Shop" in patch and "+edited by hand" in patch
    code = tmp_path / "code"
    code.mkdir()
    (code / "README.md").write_bytes(before)
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=code, check=True)
    assert (code / "README.md").read_text() == "edited by hand\n"

    shop.run.ok("revert", finding["id"])
    assert (shop.place("stg1").live_dir / "README.md").read_bytes() == before
    assert shop.run("drift", "staging").code == 0
    gone = shop.run("parity", "--since", "1h", "--json").json
    assert gone["findings"] == []


def test_code_that_was_not_deployed_is_told_apart_from_a_change_on_the_server(shop):
    shop.environment("dev", "dev1").run.ok("deploy", "dev", "--ref", "v1.0")
    result = shop.run("drift", "dev", "--json")
    assert result.code == 0, "nobody changed a server: " + str(result)
    kinds = {finding["kind"] for finding in result.json["findings"]}
    assert kinds == {"not_deployed"}, result.json["findings"]


def test_releases_that_differ_do_not_make_every_file_a_finding(shop):
    shop.config["parity"] = {"skip": ["net"]}
    shop.environment("dev", "dev1")
    shop.environment("staging", "stg1", promote_from="dev")
    shop.serve_all()
    shop.run.ok("deploy", "dev", "--ref", "v1.0")
    shop.run.ok("promote", "dev", "staging")
    shop.run.ok("deploy", "dev", "--ref", "main")
    result = shop.run("parity", "--json")
    assert result.code == 0, str(result)
    release = shop.run("diff", "release:" + live(shop, "dev"), "release:" + live(shop, "staging"), "--json")
    assert release.code == 9 and all(key.startswith("file/") for key in keys(release)), str(release)


def live(shop, environment):
    rows = shop.run("status", environment, "--json").json["environments"]
    return rows[0]["release"][:12]


def test_servers_of_one_environment_must_be_alike(shop):
    shop.environment("dev", "web1", "web2")
    shop.environment("staging", "stg1", promote_from="dev")
    shop.serve_all()
    shop.run.ok("deploy", "dev")
    shop.run.ok("promote", "dev", "staging")
    (shop.place("web2").live_dir / "README.md").chmod(0o600)
    found = keys(shop.run("parity", "--json"))
    finding = found["file/README.md/mode"]
    assert finding["kind"] == "within", finding
    assert {cell["server"] for cell in finding["cells"] if cell["server"]} >= {"web1:srv/shop", "web2:srv/shop"} or any(
        "web2" in json.dumps(cell) for cell in finding["cells"]
    )


def test_what_may_differ_is_said_with_a_reason_and_a_day(shop):
    alike(shop)
    readme = shop.place("stg1").live_dir / "README.md"
    readme.write_text("edited by hand\n")
    finding = keys(shop.run("parity", "--json"))["file/README.md/content"]
    assert shop.run("allow", "add", finding["id"]).code == 1, "a reason is demanded"
    shop.run.ok("allow", "add", finding["id"], "--reason", "a trial", "--until", "2099-01-31")
    assert shop.run("parity").code == 0
    assert "a trial" in shop.run.ok("allow", "list").out
    shop.run.ok("allow", "remove", "1")
    assert shop.run("parity").code == 9
    shop.run.ok("allow", "add", finding["key"], "--reason", "it was", "--until", "2020-01-31")
    kinds = {row["kind"] for row in shop.run("parity", "--json").json["findings"]}
    assert "lapsed" in kinds, "a rule that lapsed is a finding"


def test_a_server_that_is_away_is_never_the_same(shop):
    alike(shop)
    shop.run.ok("parity")
    shop.sshd["stg1"].stop()
    result = shop.run("parity", "--json")
    assert result.code == 4, "not green: " + str(result)
    states = [server for row in result.json["environments"] for server in row["servers"] if not server["reachable"]]
    assert states and states[0]["why"]
    assert result.json["totals"]["stale"] + result.json["totals"]["not_checked"] > 0


def test_a_wrong_subject_is_told_with_what_to_do(shop):
    shop.environment("dev", "dev1")
    shop.save()
    result = shop.run("diff", "dev", "stagging")
    assert result.code == 5 and "stagging" in result.err
    result = shop.run("diff", "dev")
    assert result.code == 1 and "two or more" in result.err
    result = shop.run("diff", "dev", "dev")
    assert result.code == 1 and "twice" in result.err
    result = shop.run("facts", "dev", "--only", "runtimes")
    assert result.code == 1 and "runtime" in result.err


def test_one_fact_over_time(shop):
    alike(shop)
    shop.run.ok("parity")
    readme = shop.place("stg1").live_dir / "README.md"
    readme.chmod(0o600)
    shop.run("parity")
    points = shop.run.ok("facts", "staging", "--history", "file/README.md/mode", "--json").json["servers"][0]["points"]
    assert [point["text"] for point in points] == ["0644", "0600"]
    assert "0600" in shop.run.ok("facts", "staging", "--history", "file/README.md/mode").out
    unknown = shop.run("facts", "staging", "--history", "file/none/mode")
    assert unknown.code == 5, str(unknown)


def test_a_path_a_server_made_up_writes_nothing_here(shop, tmp_path):
    alike(shop)
    (shop.place("stg1").live_dir / "README.md").write_text("edited by hand\n")
    finding = keys(shop.run("drift", "staging", "--json"))["file/README.md/content"]
    with sqlite3.connect(shop.run.home / "state.db") as state:
        state.execute("update parity_finding set fact_key = 'file/../../../evil/content' where finding_id = ?", [finding["id"]])
    refused = shop.run("accept", finding["id"])
    assert refused.code == 1 and "no path a release can have" in refused.err, str(refused)


def test_what_the_file_skips_is_not_looked_at(shop):
    alike(shop)
    shop.config["environments"]["dev"]["parity"] = {"skip": ["pkg", "net"]}
    shop.save()
    result = shop.run.ok("parity", "--json").json
    gaps = {(gap["key"], gap["environment"]): gap["why"] for gap in result["not_checked"]}
    assert gaps[("pkg/", "dev")] == "left out by `parity: skip`"
    assert not any(key.startswith("net/") for key, _ in gaps), "skipped by all: nobody misses it"
    only = shop.run.ok("facts", "dev", "--only", "os", "--json").json["servers"][0]["facts"]
    assert only and all(fact["key"].startswith("os/") for fact in only)


def test_every_dimension_of_the_reference_page_can_be_skipped(shop):
    page = (ROOT / "docs/reference/facts.md").read_text()
    dimensions = [line[3:] for line in page.splitlines() if line.startswith("## ")] + ["db"]
    assert len(dimensions) > 10
    shop.environment("dev", "dev1")
    shop.config["parity"] = {"skip": dimensions}
    shop.save().run.ok("config", "validate")
    assert shop.run("facts", "dev", "--only", dimensions[0]).code == 0


def test_what_the_next_release_touches_stands_first_and_says_why(shop):
    alike(shop)
    for server, text in (("dev1", "FEATURE_VAT=1\nUNRELATED=1\n"), ("stg1", "OTHER=1\n")):
        shared = shop.place(server).path / "shared"
        shared.mkdir(exist_ok=True)
        (shared / ".env").write_text(text)
    shop.repo.write("app/Vat.php", "<?php return getenv('FEATURE_VAT');\n")
    shop.repo.commit("Use VAT")
    shop.run.ok("deploy", "dev")
    shop.run.ok("status")
    findings = shop.run("parity", "--json").json["findings"]
    ranked = [finding for finding in findings if finding["dimension"] == "env"]
    assert ranked and "FEATURE_VAT" in ranked[0]["key"], findings
    assert "app/Vat.php of the pending release reads it" in ranked[0]["why"], ranked[0]
    others = [finding for finding in ranked if "UNRELATED" in finding["key"]]
    assert others and others[0]["score"] < ranked[0]["score"] and "pending" not in others[0]["why"]


def test_a_schema_that_stayed_behind_is_found_through_the_project_s_own_variables(shop, tmp_path):
    shop.config["parity"] = {"skip": ["net"], "databases": {"main": "${DATABASE_URL}"}}
    shop.environment("dev", "dev1")
    shop.environment("staging", "stg1", promote_from="dev")
    databases = {name: tmp_path / f"{name}.sqlite" for name in ("dev", "staging")}
    for name, path in databases.items():
        shop.config["environments"][name].setdefault("values", {})["DATABASE_URL"] = f"sqlite://{path}"
        with sqlite3.connect(path) as database:
            database.execute("create table orders (id integer primary key, total integer not null)")
    shop.serve_all()
    shop.run.ok("deploy", "dev")
    shop.run.ok("promote", "dev", "staging")
    assert shop.run("parity", "--only", "db").code == 0
    with sqlite3.connect(databases["dev"]) as database:
        database.execute("alter table orders add column vat integer")
    result = shop.run("parity", "--only", "db", "--json")
    assert result.code == 9
    found = keys(result)
    finding = next(row for key, row in found.items() if "table/orders/column/vat" in key)
    assert finding["direction"] == "reference_lacks" and finding["severity"] in ("high", "critical"), finding
    assert shop.run("drift", "dev", "--only", "os").code == 0, "what was not asked for is not missing"
    drifted = keys(shop.run("drift", "dev", "--json"))
    assert any("column/vat" in key and row["kind"] == "hand_change" for key, row in drifted.items()), drifted
    with sqlite3.connect(databases["staging"]) as database:
        database.execute("alter table orders add column vat integer")
    assert shop.run("parity", "--only", "db").code == 0
    unreachable = shop.config["environments"]["staging"]["values"]
    unreachable["DATABASE_URL"] = "postgres://ada:s3cretpw@127.0.0.1:1/shop"
    shop.save()
    result = shop.run("parity", "--only", "db", "--json")
    assert "s3cretpw" not in result.text
    assert any(gap["key"].startswith("db/") for gap in result.json["not_checked"])


def test_variables_are_held_against_what_is_declared_and_what_was_deployed(shop):
    shop.config["parity"] = {"skip": ["net"]}
    shop.environment("dev", "dev1")
    shop.config["files"] = [{"env": "dotenv", "path": ".env"}]
    shop.config["environments"]["dev"]["values"] = {"LOG_LEVEL": "info", "WORKERS": "4"}
    shop.save().run.ok("deploy", "dev")
    assert shop.run("drift", "dev").code == 0
    shop.config["environments"]["dev"]["values"]["WORKERS"] = "8"
    shop.save()
    waits = keys(shop.run.ok("drift", "dev", "--json"))
    assert [row["kind"] for key, row in waits.items() if "WORKERS" in key] == ["not_deployed"], waits
    shop.run.ok("deploy", "dev")
    assert shop.run("drift", "dev").code == 0
    env = shop.place("dev1").live_dir / ".env"
    env.chmod(0o640)
    env.write_text(env.read_text().replace("info", "debug"))
    result = shop.run("drift", "dev", "--json")
    assert result.code == 9, str(result)
    assert [row["kind"] for key, row in keys(result).items() if "LOG_LEVEL" in key] == ["hand_change"], str(result)
    env.unlink()
    result = shop.run("drift", "dev", "--json")
    assert result.code == 9 and {row["kind"] for row in keys(result).values()} == {"hand_change"}, str(result)


def with_config_file(shop, template="level = ${LOG_LEVEL}\n", **values):
    """dev with a file that is rendered into a folder no release has."""
    shop.config["parity"] = {"skip": ["net"]}
    shop.config["files"] = [{"template": "app.tpl", "path": "etc/deep/app.ini"}]
    (shop.folder / "app.tpl").write_text(template)
    shop.environment("dev", "dev1", values={"LOG_LEVEL": "info", **values})
    shop.run.ok("deploy", "dev")
    return shop.place("dev1").live_dir / "etc/deep/app.ini"


@pytest.mark.san
def test_a_config_file_is_declared_deployed_and_seen(shop):
    path = with_config_file(shop)
    assert shop.run("drift", "dev", "--json").json["findings"] == [], "nobody changed what was just deployed"
    mode = path.stat().st_mode
    path.chmod(0o640)
    path.write_text("level = debug\n")
    path.chmod(mode & 0o777)
    result = shop.run("drift", "dev", "--json")
    finding = keys(result)["file/etc/deep/app.ini/content"]
    assert result.code == 9 and finding["kind"] == "hand_change", finding
    assert [cell["text"].split(" ")[0] for cell in finding["cells"]] == ["as", "edited"], finding
    refused = shop.run("accept", finding["id"])
    assert refused.code == 1 and "written by the deployment from app.tpl" in refused.err, str(refused)
    shop.run.ok("revert", finding["id"])
    path = shop.place("dev1").live_dir / "etc/deep/app.ini"
    assert path.read_text() == "level = info\n" and shop.run("drift", "dev").code == 0
    (shop.folder / "app.tpl").write_text("level = ${LOG_LEVEL}\nmore = 1\n")
    finding = keys(shop.run.ok("drift", "dev", "--json"))["file/etc/deep/app.ini/content"]
    assert finding["kind"] == "not_deployed", finding
    shop.config["files"] = []
    shop.save()
    kinds = {key: row["kind"] for key, row in keys(shop.run.ok("drift", "dev", "--json")).items()}
    assert set(kinds.values()) == {"not_deployed"} and list(kinds) == ["file/etc/"], kinds


@pytest.mark.san
def test_a_patch_shows_nothing_that_may_be_a_secret(shop):
    path = with_config_file(shop, template="password = ${APP_PASSWORD}\n", APP_PASSWORD="correct-horse-battery")
    etc = path.parent.parent
    for name in ("x", "y"):
        (etc / name).write_text("of this server\n")
    (etc / ".env.local").write_text("TOKEN=hunter2-0123456789\n")
    found = keys(shop.run("drift", "dev", "--json"))
    assert "file/etc/" in found, found
    accepted = shop.run.ok("accept", found["file/etc/"]["id"])
    assert accepted.out.count("+of this server") == 2, str(accepted)
    for secret in ("correct-horse", "hunter2"):
        assert secret not in accepted.out + accepted.err, "a patch shows a secret"
    assert "etc/.env.local is left out" in accepted.err, str(accepted)
    for name in ("x", "y"):
        (etc / name).unlink()
    found = keys(shop.run("drift", "dev", "--json"))
    key = next(key for key in found if key.startswith("file/etc/.env.local/"))
    refused = shop.run("accept", found[key]["id"])
    assert refused.code == 1 and "may hold secrets" in refused.err and "hunter2" not in refused.text, str(refused)


def test_values_written_into_files_are_each_environments_own(shop):
    shop.config["parity"] = {"skip": ["net"]}
    shop.config["files"] = [{"template": "app.tpl", "path": "app.ini"}, {"substitute": "public/*.txt"}]
    (shop.folder / "app.tpl").write_text("url = ${VITE_APP_URL}\n")
    shop.repo.write("public/site.txt", "at __VITE_APP_URL__\n").commit("Say where it is")
    shop.config["env"] = {"VITE_APP_URL": {"type": "url"}}
    for name, server, more in (("dev", "dev1", {}), ("staging", "stg1", {"promote_from": "dev"})):
        shop.environment(name, server, values={"VITE_APP_URL": f"http://{name}.example"}, **more)
    shop.run.ok("deploy", "dev")
    shop.run.ok("promote", "dev", "staging")
    written = [(shop.place(name).live_dir / "public/site.txt").read_text() for name in ("dev1", "stg1")]
    assert written == ["at http://dev.example\n", "at http://staging.example\n"]
    assert shop.run("parity", "--only", "file", "--json").json["findings"] == []
    assert shop.run("drift", "staging", "--json").json["findings"] == []
    path = shop.place("stg1").live_dir / "app.ini"
    path.chmod(0o640)
    path.write_text("url = http://elsewhere.example\n")
    assert "file/app.ini/content" in keys(shop.run("parity", "--only", "file", "--json"))
    path.unlink()
    assert "file/app.ini/" in keys(shop.run("parity", "--only", "file", "--json"))


def test_what_was_added_and_removed_by_hand_is_one_finding_each_and_a_patch(shop, tmp_path):
    alike(shop)
    live = shop.place("stg1").live_dir
    (live / "README.md").unlink()
    (live / "public/new.php").write_text("<?php // new\n")
    (live / "extra/deep").mkdir(parents=True)
    for name in ("a", "deep/b"):
        (live / "extra" / name).write_text(f"{name}\n")
    found = keys(shop.run("drift", "staging", "--json"))
    assert set(found) == {"file/README.md/", "file/public/new.php/", "file/extra/"}, found
    patches = {key: shop.run.ok("accept", finding["id"]).out for key, finding in found.items()}
    code = tmp_path / "code"
    (code / "public").mkdir(parents=True)
    (code / "README.md").write_text("# Shop\n")
    for patch in patches.values():
        subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=code, check=True)
    assert not (code / "README.md").exists()
    assert (code / "public/new.php").read_text() == "<?php // new\n"
    assert [(code / "extra" / name).read_text() for name in ("a", "deep/b")] == ["a\n", "deep/b\n"]
    (live / "public/new.php").unlink()
    gone = shop.run("accept", found["file/public/new.php/"]["id"])
    assert "deleted file" not in gone.out, "what vanished is not deleted everywhere"


def test_where_nothing_is_deployed_yet_nothing_is_missing(shop):
    shop.config["parity"] = {"skip": ["net"]}
    shop.repo.write("composer.json", '{"require": {"php": ">=7"}}').write("package-lock.json", "{}").commit("Pin")
    shop.environment("dev", "dev1")
    shop.environment("staging", "stg1", promote_from="dev")
    shop.config["environments"]["staging"]["require"] = {"parity_with": {"environment": "dev", "coverage": 50}}
    shop.save().run.ok("deploy", "dev")
    result = shop.run("parity", "--json")
    assert result.json["findings"] == [], str(result)
    assert any("there" in gap["why"] for gap in result.json["not_checked"] if gap["key"].startswith("file/"))
    shop.run.ok("promote", "dev", "staging")
    assert shop.run("parity").code == 0


def test_the_table_says_what_a_finding_is_called_by(shop):
    alike(shop)
    (shop.place("stg1").live_dir / "README.md").write_text("edited by hand\n")
    result = shop.run("parity")
    row = next(line for line in result.out.splitlines() if "README.md" in line)
    shop.run.ok("allow", "add", row.split()[1], "--reason", "a trial", "--until", "2099-01-31")
    assert shop.run("parity").code == 0


def test_a_column_that_was_renamed_is_recognised_as_likely(shop, tmp_path):
    for name, column in (("stg", "tax"), ("prod", "vat")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / ".env").write_text(f"DATABASE_URL=sqlite://{folder}/d.sqlite\n")
        with sqlite3.connect(folder / "d.sqlite") as database:
            database.execute(f"create table orders (id integer primary key, total integer not null, {column} text)")
    shop.run.folder = tmp_path
    result = shop.run("diff", tmp_path / "stg", tmp_path / "prod", "--only", "db", "--json")
    found = keys(result)
    assert len(found) == 2, found
    for here, there, where in (("tax", "vat", "prod"), ("vat", "tax", "stg")):
        finding = next(row for key, row in found.items() if f"/column/{here}/" in key)
        assert finding["cause"] == f"probably called {there} in {tmp_path / where}", finding
        assert "rename it" in finding["advice"]
