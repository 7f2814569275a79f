"""How deployments are done here, held against how they should be: the one next step fits the
project, says why, and names a command there is."""

import subprocess

import pytest

from test_parity import alike


def assess(run):
    result = run.ok("assess", "--json").json
    return result, {row["practice"]: row["state"] for row in result["practices"]}


def next_step(run):
    step = assess(run)[0]["next"]
    table = run.ok("assess").out
    assert "Do this first" in table and step["why"] in table and step["command"] in table
    words = step["command"].split("#")[0].split()
    assert words[0] == "lockstep"
    verb = [word for word in words[1:] if not word.startswith("-")]
    assert any(run("help", *verb[:n]).code == 0 for n in (2, 1)), f"{step['command']} is no command"
    return step["practice"]


def test_without_a_project_the_first_step_is_to_have_one(lockstep):
    assert next_step(lockstep) == "automated"


def test_one_environment_wants_a_second(shop):
    shop.environment("production", "prod1")
    assert next_step(shop.run) == "staged"


def test_two_that_are_not_connected_want_one_build_for_both(shop):
    shop.environment("staging", "stg1")
    shop.environment("production", "prod1")
    shop.config["parity"] = {"reference": "production"}
    shop.save()
    assert next_step(shop.run) == "promoted"


def test_serious_differences_come_before_what_only_helps_later(shop):
    alike(shop)
    shop.run("parity")
    assert assess(shop.run)[1]["alike"] == "good"
    (shop.place("stg1").live_dir / "README.md").write_text("by hand\n")
    shop.run("parity")
    assert next_step(shop.run) == "alike"
    assert "README.md" in next(row for row in assess(shop.run)[0]["practices"] if row["practice"] == "alike")["seen"]


def test_a_secret_in_the_repository_is_named(shop):
    shop.environment("staging", "stg1")
    shop.environment("production", "prod1", promote_from="staging")
    (shop.folder / ".env").write_text("STRIPE=1\n")
    subprocess.run("git init -q && git add -A", shell=True, cwd=shop.folder, check=True)
    assert next_step(shop.run) == "secrets"


@pytest.mark.parametrize("migrations", [True, False])
def test_migrations_nobody_runs_are_seen(shop, migrations):
    shop.environment("staging", "stg1")
    shop.environment("production", "prod1", promote_from="staging")
    if migrations:
        (shop.folder / "db/migrate").mkdir(parents=True)
    assert assess(shop.run)[1]["migrated"] == ("missing" if migrations else "not_needed")


def test_the_checklist_asks_the_seven_questions_and_answers_from_what_was_seen(shop):
    alike(shop)
    rows = shop.run("checklist", "--json").json["questions"]
    asked = ["Same OS version?", "Same runtime version (Node, Python, Ruby, PHP)?", "Same database version and extensions?",
             "Same third-party service endpoints (or equivalent test versions)?",
             "Same environment variables (minus credentials)?", "Same file system permissions?",
             "Same network configuration (load balancer, CDN, firewall rules)?"]
    assert [row["question"] for row in rows][:7] == asked
    answers = {row["name"]: row for row in rows}
    system = answers["os"]
    # In a bare root without /sys not everything of it can be seen, and that is said.
    assert system["evidence"] and (system["answer"] == "same") == (not system["gaps"]), system
    assert answers["database"]["answer"] == "not_checked" and answers["database"]["gaps"], "nobody looked"
    shop.sshd.on("stg1", "chmod 600 srv/shop/current/README.md")
    result = shop.run("checklist", "--json")
    answers = {row["name"]: row for row in result.json["questions"]}
    assert result.code == 9 and answers["permissions"]["answer"] == "differs"
    assert [row["key"] for row in answers["permissions"]["differences"]] == ["file/README.md/mode"]
