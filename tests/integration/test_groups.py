"""Several servers and several environments: all or none, and in order."""

import fcntl
import threading

import pytest


def pipeline(shop):
    """dev → staging (two servers) → production (two servers), with health checks."""
    shop.environment("dev", "dev1")
    shop.environment("staging", "stg1", "stg2", promote_from="dev")
    shop.environment("production", "prod1", "prod2", promote_from="staging")
    return shop.serve_all()


def lives(shop, *servers):
    return [shop.place(server).live for server in servers]


def digests(shop, *servers):
    return {shop.place(server).digest() for server in servers}


@pytest.mark.san
def test_one_release_goes_through_all_environments(shop):
    pipeline(shop)
    shop.run.ok("deploy", "dev")
    shop.run.ok("promote", "dev", "staging")
    shop.run.ok("promote", "staging", "production")
    assert len(digests(shop, "dev1", "stg1", "stg2", "prod1", "prod2")) == 1
    assert len({live[7:] for live in lives(shop, "dev1", "stg1", "prod2")}) == 1, "the release's digits are the same"
    for server in ("dev1", "stg2", "prod1"):
        assert "/up" in shop.sshd[server].site.asked


@pytest.mark.san
def test_promotion_waits_for_verification_upstream(shop):
    pipeline(shop)
    shop.run.ok("deploy", "dev")
    refused = shop.run("deploy", "production", "--ref", "main")
    assert refused.code == 7, str(refused)
    assert "staging" in refused.err
    assert lives(shop, "prod1", "prod2") == [None, None]
    shop.run.ok("promote", "dev", "staging")
    shop.repo.write("late.txt", "late").commit("Not in staging yet")
    assert shop.run("deploy", "production", "--ref", "main").code == 7
    shop.run.ok("promote", "staging", "production")
    assert b"late.txt" not in shop.place("prod1").tree()


def test_an_environment_without_health_check_does_not_open_the_gate(shop):
    pipeline(shop)
    del shop.config["deploy"]["health"]
    shop.save().run.ok("deploy", "dev")
    refused = shop.run("promote", "dev", "staging")
    assert refused.code == 7, str(refused)
    assert "health" in refused.err
    shop.config["deploy"]["health"] = "none"
    shop.save()
    shop.run.ok("deploy", "dev")
    shop.run.ok("promote", "dev", "staging")


def test_a_hand_edit_upstream_does_not_travel(shop):
    pipeline(shop).run.ok("deploy", "dev")
    edited = shop.place("dev1").live_dir / "app" / "Shop.php"
    edited.unlink()
    edited.write_text("<?php // edited\n")
    result = shop.run("promote", "dev", "staging")
    assert result.code == 7, str(result)
    assert "edited" in result.err
    assert lives(shop, "stg1", "stg2") == [None, None]
    shop.run.ok("deploy", "dev")
    assert shop.place("dev1").tree() == shop.repo.tree(), "deploying again puts the file right"
    shop.run.ok("promote", "dev", "staging")


def test_a_hotfix_needs_a_reason_and_is_recorded(shop):
    pipeline(shop)
    without = shop.run("deploy", "production", "--ref", "main", "--hotfix")
    assert without.code == 1, str(without)
    assert lives(shop, "prod1", "prod2") == [None, None]
    shop.run.ok("deploy", "production", "--ref", "main", "--hotfix", "--reason", "the shop is down")
    assert shop.place("prod1").tree() == shop.repo.tree()
    assert "the shop is down" in shop.run.ok("log", "--json").out
    assert b"the%20shop%20is%20down" in shop.place("prod1").journal


@pytest.mark.san
def test_a_server_that_is_not_well_takes_the_whole_group_back(shop):
    pipeline(shop)
    for step in (["deploy", "dev"], ["promote", "dev", "staging"]):
        shop.run.ok(*step)
    before = lives(shop, "stg1", "stg2"), digests(shop, "stg1", "stg2")
    shop.repo.write("app/Shop.php", "<?php // new\n").commit("New")
    shop.run.ok("deploy", "dev")
    shop.sshd["stg2"].site.only_well_with = before[0][1]
    result = shop.run("promote", "dev", "staging")
    assert result.code == 8, str(result)
    assert "stg2" in result.err and "500" in result.text
    assert (lives(shop, "stg1", "stg2"), digests(shop, "stg1", "stg2")) == before
    shop.sshd["stg2"].site.only_well_with = None
    shop.run.ok("promote", "dev", "staging")
    assert digests(shop, "stg1", "stg2") == digests(shop, "dev1")


def test_a_first_deployment_that_fails_leaves_nothing_live(shop):
    shop.environment("dev", "web1", "web2").serve_all()
    shop.sshd["web2"].site.broken = 503
    result = shop.run("deploy", "dev")
    assert result.code == 8, str(result)
    assert lives(shop, "web1", "web2") == [None, None]
    shop.sshd["web2"].site.broken = None
    shop.run.ok("deploy", "dev")
    assert digests(shop, "web1") == digests(shop, "web2")


def test_failed_activations_never_push_good_ones_out(shop):
    shop.config["deploy"]["keep"] = 2
    shop.environment("dev", "web1").serve_all()
    for ref in ("v1.0", "v1.1"):
        shop.run.ok("deploy", "dev", "--ref", ref)
    for number in range(3):
        shop.repo.write("up.txt", f"bad {number}\n").commit("Bad")
        assert shop.run("deploy", "dev").code == 8
    shop.run.ok("rollback", "dev")
    assert shop.place().tree() == shop.repo.tree("v1.0")


def test_a_health_command_counts_like_a_page(shop):
    shop.config["deploy"]["health"] = {"command": "test ! -e bad.txt", "within": "3s"}
    shop.environment("dev", "web1", "web2")
    shop.run.ok("deploy", "dev")
    before = lives(shop, "web1", "web2")
    shop.repo.write("bad.txt", "bad").commit("Bad")
    assert shop.run("deploy", "dev").code == 8
    assert lives(shop, "web1", "web2") == before


def test_an_unreachable_server_keeps_all_others_untouched(shop):
    shop.environment("dev", "web1", "web2").run.ok("deploy", "dev")
    before = lives(shop, "web1", "web2")
    shop.repo.write("new.txt", "new").commit("New")
    shop.sshd["web2"].stop()
    result = shop.run("deploy", "dev")
    assert result.code in (4, 8), str(result)
    assert "web2" in result.err
    assert lives(shop, "web1", "web2") == before
    shop.sshd["web2"].restart()
    shop.run.ok("deploy", "dev")
    assert digests(shop, "web1") == digests(shop, "web2")


def test_status_shows_environments_in_order_and_how_far_behind(shop):
    pipeline(shop).run.ok("deploy", "dev", "--ref", "v1.0")
    shop.run.ok("promote", "dev", "staging")
    shop.run.ok("deploy", "dev", "--ref", "main")
    text = shop.run.ok("status").out
    assert text.index("dev") < text.index("staging") < text.index("production")
    assert "2" in text, "staging is two commits behind"
    assert "Say welcome differently" in text and "Add a console and uploads" in text


@pytest.mark.san
def test_two_laptops_at_once_leave_one_release_everywhere(shop):
    shop.config["deploy"]["hooks"] = {"before_activate": [{"run": "sleep 1"}]}
    shop.environment("dev", "web1", "web2").run.ok("deploy", "dev", "--ref", "v1.0")
    other = shop.another_laptop()
    results = {}
    before = shop.repo.git("rev-parse", "main~1")

    def deploy(name, laptop, ref):
        results[name] = laptop("deploy", "dev", "--ref", ref)

    threads = [
        threading.Thread(target=deploy, args=("one", shop.run, "v1.1")),
        threading.Thread(target=deploy, args=("two", other, before)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = {name: result.code for name, result in results.items()}
    assert 0 in codes.values(), str(results)
    assert set(codes.values()) <= {0, 6}, "\n".join(map(str, results.values()))
    for name, result in results.items():
        if result.code == 6:
            assert "web" in result.err or "held" in result.err
    assert len(digests(shop, "web1", "web2")) == 1
    assert shop.place("web1").tree() in (shop.repo.tree("v1.1"), shop.repo.tree("main~1"))


def test_who_waits_for_a_server_holds_no_other(shop):
    """Two who each hold a part of a group and wait for the rest would wait for ever."""
    shop.environment("dev", "web1", "web2").run.ok("deploy", "dev", "--ref", "v1.0")
    lock = open(shop.place("web1").path / ".lockstep/lock", "r+")
    fcntl.flock(lock, fcntl.LOCK_EX)
    other = open(shop.place("web2").path / ".lockstep/lock", "r+")
    deploying = shop.run.start("deploy", "dev", "--ref", "v1.1")
    seen = []
    for line in deploying.stderr:
        seen.append(line)
        if line.startswith(b"waiting"):
            break
    else:
        raise AssertionError(f"it did not wait: exit {deploying.wait()}, {seen}")
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    other.close()
    lock.close()
    _, errors = deploying.communicate(timeout=60)
    assert deploying.returncode == 0, errors.decode()
    assert len(digests(shop, "web1", "web2")) == 1


def test_a_release_is_fetched_back_by_another_laptop(shop):
    shop.config["build"] = {"run": ["head -c 5000 /dev/urandom | base64 > once.txt"]}
    pipeline(shop).run.ok("deploy", "dev")
    other = shop.another_laptop()
    other.ok("promote", "dev", "staging")
    assert digests(shop, "dev1") == digests(shop, "stg1", "stg2")
    third = shop.another_laptop("third")
    result = third.ok("deploy", "dev", "--ref", "main")
    assert len(digests(shop, "dev1", "stg1")) == 1, "it was not built again: " + str(result)
    third.ok("store", "verify")


def test_servers_in_groups_and_hooks_say_where(shop):
    shop.config["deploy"]["hooks"] = {
        "after_live": [
            {"run": "echo once >> $HOME/hooks", "where": "once"},
            {"run": "echo worker >> $HOME/hooks", "group": "worker"},
        ]
    }
    for name in ("web1", "web2", "job1"):
        shop.sshd.add(name)
    shop.config["environments"]["dev"] = {"servers": {"web": ["web1", "web2"], "worker": ["job1"]}}
    shop.save().run.ok("deploy", "dev")
    said = {
        name: (server.home / "hooks").read_text().split() if (server.home / "hooks").exists() else []
        for name, server in shop.sshd.servers.items()
    }
    assert sorted(sum(said.values(), [])) == ["once", "worker"]
    assert "worker" in said["job1"]


def test_a_failing_hook_before_activation_leaves_the_servers_untouched(shop):
    shop.environment("dev", "web1", "web2").run.ok("deploy", "dev")
    before = lives(shop, "web1", "web2")
    shop.config["deploy"]["hooks"] = {"before_activate": [{"run": "echo the reason >&2; exit 3"}]}
    shop.save().repo.write("new.txt", "new").commit("New")
    result = shop.run("deploy", "dev")
    assert result.code == 8, str(result)
    assert "the reason" in result.text
    assert lives(shop, "web1", "web2") == before
