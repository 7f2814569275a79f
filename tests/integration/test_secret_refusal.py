"""Secrets in the repository: found, refused, allowed for a while."""

import datetime

# Forms that services hand out; put together here so that no scanner of others takes
# this file for a leak.
LIVE_KEY = "sk_" + "live_" + "51H8s2kLqPzRvWx7YtNbM4cD"
AWS_KEY = "AKIA" + "QYLPMN5HFIQR7XYA"


def day(days):
    return (datetime.date.today() + datetime.timedelta(days=days)).isoformat()


def commit_key(shop, path="config/pay.php", key=LIVE_KEY):
    shop.repo.write(path, f"<?php\n$secret = '{key}';\n").commit("Pay by card")


def allow(shop, until, path="config/*"):
    shop.config["secret_scan"] = {
        "allow": [{"path": path, "owner": "ana@acme.io", "reason": "revoked long ago", "until": until}]
    }
    shop.save()


def test_a_release_with_a_secret_is_not_deployed(shop):
    shop.environment("dev", "web1")
    commit_key(shop)
    result = shop.run("deploy", "dev")
    assert result.code == 1, str(result)
    assert "config/pay.php:2" in result.err and "stripe" in result.err.lower()
    assert LIVE_KEY not in result.err + result.out
    assert shop.place().live is None
    # Asked again it is refused from memory, and by a plan too.
    assert shop.run("deploy", "dev").code == 1
    assert "config/pay.php:2" in shop.run.ok("plan", "dev").err


def test_only_what_changed_is_read_again_and_old_findings_stay(shop):
    shop.environment("dev", "web1")
    commit_key(shop)
    allow(shop, day(30))
    shop.run.ok("deploy", "dev")
    shop.repo.write("README.md", "changed\n").commit("Change another file")
    del shop.config["secret_scan"]
    shop.save()
    result = shop.run("deploy", "dev")
    assert result.code == 1 and "config/pay.php:2" in result.err


def test_an_exception_has_an_owner_and_an_end(shop):
    shop.environment("dev", "web1")
    commit_key(shop)
    allow(shop, day(5))
    result = shop.run.ok("deploy", "dev")
    assert "lapses on" in result.err
    allow(shop, day(-3))
    shop.repo.write("README.md", "changed\n").commit("Change another file")
    result = shop.run("deploy", "dev")
    assert result.code == 1 and "lapsed on" in result.err and "ana@acme.io" in result.err
    shop.config["secret_scan"]["allow"][0].pop("owner")
    shop.save()
    refused = shop.run("config", "validate")
    assert refused.code == 1 and "owner" in refused.err


def test_scan_shows_what_the_branch_and_its_history_hold(shop):
    shop.environment("dev", "web1")
    commit_key(shop, "old/aws.ini", f"aws_access_key_id = {AWS_KEY}\n")
    shop.repo.remove("old/aws.ini").commit("Take the key out")
    clean = shop.run.ok("secret", "scan")
    assert "old/aws.ini" not in clean.out
    found = shop.run("secret", "scan", "--history")
    assert found.code == 9 and "old/aws.ini" in found.out
    assert AWS_KEY not in found.out + found.err


def test_no_search_where_none_is_wanted(shop):
    shop.config["secret_scan"] = "none"
    shop.environment("dev", "web1")
    commit_key(shop)
    shop.run.ok("deploy", "dev")
