"""What a config set is: variables and config files, as each server gets them. What changes
in either is something to deploy, and nothing else is."""

import json
import stat

import pytest
from test_configuration import configured, rendered, write  # noqa: F401


def deploy(shop, environment="dev"):
    return shop.run.ok("deploy", environment, "--json").json


def config_of(shop, server="web1"):
    """The names the server's journal has for the config set that is live: of the
    environment, and of what this server gets."""
    live = shop.place(server).live
    for line in reversed(shop.place(server).journal.decode().splitlines()):
        fields = dict(field.split("=", 1) for field in line.split(" ")[1:])
        if line.startswith("prepared ") and fields["name"] == live:
            return fields["config"], fields["own_config"]
    raise AssertionError(f"no line about {live}")


@pytest.mark.san
def test_a_template_that_changed_alone_is_deployed(configured):
    deploy(configured)
    first = configured.place().live_dir
    write(configured, "deploy/app.tpl", "url ${APP_URL}\n")
    plan = configured.run.ok("plan", "dev").out
    assert "config/app.conf" in plan and "changed" in plan
    assert "only the configuration changes" in plan
    assert "config/app.conf" in configured.run.ok("config", "diff", "dev").out
    result = deploy(configured)
    assert (result["outcome"], result["kind"]) == ("live", "config")
    assert rendered(configured) == "url http://dev.example.com\n"
    assert "password" in (first / "config/app.conf").read_text()
    assert deploy(configured)["outcome"] == "unchanged"
    assert "config/app.conf" not in configured.run.ok("config", "diff", "dev").out




def test_an_entry_of_files_that_changed_alone_is_deployed(configured):
    configured.config["files"] = []
    configured.save()
    deploy(configured)
    steps = [
        [{"template": "deploy/app.tpl", "path": "config/app.conf"}],
        [{"template": "deploy/app.tpl", "path": "config/app.conf", "permissions": "0600"}],
        [{"template": "deploy/app.tpl", "path": "config/app.conf", "permissions": "0600", "quote": "shell"}],
        [{"template": "deploy/app.tpl", "path": "etc/app.conf", "permissions": "0600", "quote": "shell"}],
        [{"copy": "deploy/app.tpl", "path": "etc/app.conf", "permissions": "0600"}],
        [{"env": "dotenv", "path": ".env"}],
        [{"env": "shell", "path": ".env"}],
        [{"env": "shell", "path": ".env", "only": ["APP_*"]}],
        [{"env": "shell", "path": ".env", "only": ["APP_*"]}, {"substitute": "public/*.js"}],
        [{"env": "shell", "path": ".env", "only": ["APP_*"]}, {"substitute": "public/*.js", "permissions": "0600"}],
        [],
    ]
    before = config_of(configured)
    for files in steps:
        configured.config["files"] = files
        configured.save()
        result = deploy(configured)
        assert (result["outcome"], result["kind"]) == ("live", "config"), files
        assert config_of(configured) != before, files
        before = config_of(configured)
        assert deploy(configured)["outcome"] == "unchanged", files
        for file in files:
            if "path" in file:
                mode = (configured.place().live_dir / file["path"]).stat().st_mode
                assert stat.S_IMODE(mode) == int(file.get("permissions", "0640"), 8)
    assert not (configured.place().live_dir / ".env").exists()


def test_what_gives_the_same_files_is_the_same_configuration(configured):
    """Where a template lies, how it is written and in which order files are named is not
    what a server gets."""
    configured.config["files"].append({"env": "dotenv", "path": "a.env"})
    configured.save()
    deploy(configured)
    names = config_of(configured)
    configured.config["files"].reverse()
    configured.config["files"][1] |= {"template": "deploy/other.tpl", "syntax": ["dollar", "braces", "percent"]}
    configured.save()
    write(configured, "deploy/other.tpl", "url {{APP_URL}}\npassword ${DB_PASSWORD|json}\nworkers ${WORKERS}\n")
    assert deploy(configured)["outcome"] == "unchanged"
    assert config_of(configured) == names
    # From another laptop, and another folder.
    away = configured.work / "elsewhere"
    configured.folder.rename(away)
    configured.folder = away
    other = configured.another_laptop().ok("deploy", "dev", "--json").json
    assert other["outcome"] == "unchanged" and other["config"] == names[0]


def test_a_rollback_brings_the_files_of_that_time_and_a_deployment_those_of_now(configured):
    deploy(configured)
    then = config_of(configured)
    write(configured, "deploy/app.tpl", "second\n")
    deploy(configured)
    now = config_of(configured)
    configured.run.ok("rollback", "dev", "--config")
    assert "for-development" in rendered(configured)
    assert config_of(configured) == then
    assert "config/app.conf" in configured.run.ok("plan", "dev").out
    assert "config/app.conf" in configured.run.ok("config", "diff", "dev").out
    findings = configured.run.ok("drift", "dev", "--json").json["findings"]
    assert {finding["kind"] for finding in findings} == {"not_deployed"}, "nobody changed it by hand"
    assert deploy(configured)["outcome"] == "live"
    assert rendered(configured) == "second\n" and config_of(configured) == now
    versions = configured.run.ok("config", "history", "dev", "--json").json["versions"]
    assert [row["config"] for row in versions] == [now[0], then[0], now[0], then[0]]
    assert {row["files"] for row in versions} == {1}
    assert "1 file" in configured.run.ok("config", "history", "dev").out


def test_a_template_with_a_mistake_stops_a_plan_too(configured):
    deploy(configured)
    write(configured, "deploy/app.tpl", "fine\nurl ${APP_URI}\n")
    refused = configured.run("plan", "dev")
    assert refused.code == 1 and "deploy/app.tpl:2" in refused.err and "APP_URL" in refused.err
    # What differs is shown all the same.
    compared = configured.run.ok("config", "diff", "dev")
    assert "config files were not compared" in compared.err and "0 to look at" in compared.out


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def forget_what_it_gets(place):
    """The journal as an earlier lockstep wrote it: without what this server gets, and the
    environment's configuration by another name."""
    lines = []
    for line in place.journal.decode().splitlines():
        fields = [
            "config=" + "5" * 64 if field.startswith("config=") else field
            for field in line.rsplit(" crc=", 1)[0].split(" ")
            if not field.startswith("own_config=")
        ]
        body = " ".join(fields)
        lines.append(f"{body} crc={crc32c(body.encode()):08x}\n")
    (place.path / ".lockstep/journal").write_text("".join(lines))


def test_what_an_earlier_lockstep_deployed_is_configured_once_and_then_the_same(configured):
    deploy(configured)
    first = configured.place().live
    forget_what_it_gets(configured.place())
    assert "which configuration it has was not written down" in configured.run.ok("plan", "dev").out
    result = deploy(configured)
    assert (result["outcome"], result["kind"]) == ("live", "config")
    assert configured.place().live != first
    assert deploy(configured)["outcome"] == "unchanged"
    # And it can be gone back to.
    configured.run.ok("rollback", "dev", "--config")
    assert configured.run("status", "dev").code == 0
    assert deploy(configured)["kind"] == "config"


def two_groups(shop):
    shop.sshd.add_all("job1", "web3", "job2")
    dev = shop.config["environments"]["dev"]
    dev["servers"] = {"web": ["web1"], "worker": ["job1"]}
    dev["values_for"] = {"worker": {"WORKERS": 8}}
    shop.config["files"].append({"env": "dotenv", "path": "worker.env", "for": "worker"})
    shop.save()
    deploy(shop)
    return dev


def test_another_server_of_a_group_leaves_the_configuration_of_the_others(configured):
    dev = two_groups(configured)
    web, worker = config_of(configured, "web1"), config_of(configured, "job1")
    assert web[0] == worker[0] and web[1] != worker[1]
    dev["servers"] = {"web": ["web1", "web3"], "worker": ["job1"]}
    configured.save()
    plan = configured.run.ok("plan", "dev", "--json").json
    assert plan["config"] == web[0] and plan["config_changes"] == [] and plan["file_changes"] == []
    assert {row["server"]: row["current"] for row in plan["servers"]} == {"web1": True, "web3": False, "job1": True}
    deploy(configured)
    assert config_of(configured, "web1") == config_of(configured, "web3") == web
    assert config_of(configured, "job1") == worker
    assert len(configured.run.ok("config", "history", "dev", "--json").json["versions"]) == 1
    assert configured.run("status", "dev").code == 0
    # There is no other configuration to go back to.
    assert configured.run("rollback", "dev", "--config").code == 5


def test_a_server_with_values_of_its_own_leaves_what_the_others_get(configured):
    dev = two_groups(configured)
    web, worker = config_of(configured, "web1"), config_of(configured, "job1")
    dev["servers"] = {"web": ["web1"], "worker": ["job1", "job2"]}
    dev["values_for"]["job2"] = {"WORKERS": 16}
    configured.save()
    plan = configured.run.ok("plan", "dev", "--json").json
    assert {row["server"]: row["current"] for row in plan["servers"]} == {"web1": True, "job1": True, "job2": False}
    deploy(configured)
    assert config_of(configured, "web1")[1] == web[1] and config_of(configured, "job1")[1] == worker[1]
    assert "workers 16" in rendered(configured, "job2")
    assert configured.run("status", "dev").code == 0, "one deployment is never mixed"
    # It goes again: the others have what they had, and nothing has to be done.
    del dev["values_for"]["job2"]
    dev["servers"] = {"web": ["web1"], "worker": ["job1"]}
    configured.save()
    assert deploy(configured)["outcome"] == "unchanged"


def test_servers_that_have_what_they_get_but_by_different_names_are_brought_together(configured):
    """job2 was left out while the others changed, and changed back."""
    dev = two_groups(configured)
    few, many = {"web": ["web1"], "worker": ["job1"]}, {"web": ["web1"], "worker": ["job1", "job2"]}
    own = dev["values_for"] | {"job2": {"WORKERS": 16}}
    for servers, values_for, template in (
        (many, own, "workers %WORKERS%\n"),
        (few, {"worker": {"WORKERS": 8}}, "other\n"),
        (few, {"worker": {"WORKERS": 8}}, "workers %WORKERS%\n"),
    ):
        dev |= {"servers": servers, "values_for": values_for}
        configured.save()
        write(configured, "deploy/app.tpl", template)
        assert deploy(configured)["outcome"] == "live"
    dev |= {"servers": many, "values_for": own}
    configured.save()
    assert configured.run("status", "dev").code == 10
    plan = configured.run.ok("plan", "dev", "--json").json
    assert all(row["current"] for row in plan["servers"]) and not plan["current"]
    result = deploy(configured)
    assert (result["outcome"], result["kind"]) == ("live", "config")
    assert configured.run("status", "dev").code == 0
    assert deploy(configured)["outcome"] == "unchanged"


def test_one_server_s_own_value_is_a_deployment_of_configuration_alone(configured):
    dev = two_groups(configured)
    web = config_of(configured, "web1")
    dev["values_for"]["worker"]["WORKERS"] = 9
    configured.save()
    plan = configured.run.ok("plan", "dev").out.splitlines()
    assert [line for line in plan if line.startswith("server    job1") and line.endswith("; configuration changed")]
    assert [line for line in plan if line.startswith("server    web1") and "has it live already" in line]
    assert [line for line in plan if line.startswith("config    worker.env") and line.endswith("changed")]
    result = deploy(configured)
    assert (result["outcome"], result["kind"]) == ("live", "config")
    assert "workers 9" in rendered(configured, "job1") and "workers 2" in rendered(configured, "web1")
    assert config_of(configured, "web1")[1] == web[1]
    assert deploy(configured)["outcome"] == "unchanged"
    configured.run.ok("rollback", "dev", "--config")
    assert "workers 8" in rendered(configured, "job1") and "workers 2" in rendered(configured, "web1")
    assert configured.run("status", "dev").code == 0


def test_a_server_that_moves_to_another_group_gets_its_configuration(configured):
    dev = two_groups(configured)
    dev["servers"] = {"web": ["web1"], "worker": ["job1", "web3"]}
    configured.save()
    deploy(configured)
    assert "workers 8" in rendered(configured, "web3")
    dev["servers"] = {"web": ["web1", "web3"], "worker": ["job1"]}
    configured.save()
    result = deploy(configured)
    assert (result["outcome"], result["kind"]) == ("live", "config")
    assert "workers 2" in rendered(configured, "web3")
    assert not (configured.place("web3").live_dir / "worker.env").exists()
    assert deploy(configured)["outcome"] == "unchanged"


def test_servers_with_different_configurations_are_mixed(configured):
    """One that was away while its environment was only it, and comes back."""
    configured.sshd.add("web3")
    dev = configured.config["environments"]["dev"]
    dev["servers"] = ["web1", "web3"]
    configured.save()
    deploy(configured)
    dev["servers"] = ["web1"]
    configured.save()
    write(configured, "deploy/app.tpl", "second\n")
    deploy(configured)
    dev["servers"] = ["web1", "web3"]
    configured.save()
    status = configured.run("status", "dev", "--json")
    assert status.code == 10 and status.json["environments"][0]["state"] == "mixed"
    assert deploy(configured)["outcome"] == "live"
    assert rendered(configured, "web3") == "second\n"
    assert configured.run("status", "dev").code == 0


def test_a_short_secret_cannot_be_guessed_from_what_is_written_down(configured):
    """The same four digits under two keys have two names, here and on the servers."""
    write(configured, "deploy/dev.env", "DB_PASSWORD=1234\n")
    write(configured, "deploy/app.tpl", "%DB_PASSWORD%\n")
    deploy(configured)
    first = configured.place()
    names = config_of(configured)
    (first.path / ".lockstep/config-key").unlink()
    assert deploy(configured)["outcome"] == "live"
    assert rendered(configured) == "1234\n"
    assert not set(names) & set(config_of(configured))
    assert json.dumps(configured.run.ok("config", "history", "dev", "--json").json).count("1234") == 0


def test_how_it_is_delivered_is_nothing_to_put_on_a_server_and_says_from_when_it_counts(configured):
    deploy(configured)
    live = configured.place().live
    assert deploy(configured)["next_time"] is None
    assert "note" not in configured.run.ok("deploy", "dev").out
    configured.config["deploy"] |= {"keep": 7, "hooks": {"after_live": "touch here"}, "generated": ["here"]}
    configured.save()
    # What shows in an activation is something to deploy, whatever else changed.
    assert deploy(configured)["outcome"] == "live" and configured.place().live != live
    live = configured.place().live
    configured.config["deploy"] |= {"keep": 3, "hooks": {"after_live": "rm -f here"}}
    configured.save()
    result = configured.run.ok("deploy", "dev").out
    assert result.startswith("unchanged ")
    assert "note      hooks.after_live touch here -> rm -f here, keep 7 -> 3: counts from the next deployment on" in result
    assert "counts from the next deployment on" in configured.run.ok("plan", "dev").out
    assert configured.place().live == live
    configured.run.ok("deploy", "dev", "--again")
    assert "note" not in configured.run.ok("deploy", "dev").out
    configured.config["deploy"]["health"] = {"command": "true"}
    configured.save()
    assert "health" in deploy(configured)["next_time"]["text"]
