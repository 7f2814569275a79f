"""The parity gate, as a promotion meets it."""


def gated(shop, coverage=50):
    """dev, and staging that must be like it."""
    shop.config["parity"] = {"skip": ["net"]}
    shop.environment("dev", "dev1")
    shop.environment("staging", "stg1", promote_from="dev")
    shop.config["environments"]["staging"]["require"] = {"parity_with": {"environment": "dev", "coverage": coverage}}
    shop.serve_all()


def set_limits_by_hand(shop):
    limits = shop.place("dev1").path / "shared/limits.ini"
    limits.parent.mkdir(exist_ok=True)
    limits.write_text("requests = 10\n")


def test_a_difference_holds_the_gate_until_it_is_put_right_or_a_hotfix_goes_past_it(shop):
    gated(shop)
    shop.run.ok("deploy", "dev")
    set_limits_by_hand(shop)
    refused = shop.run("promote", "dev", "staging")
    assert refused.code == 7, str(refused)
    assert "gate parity is closed" in refused.err and "file/shared" in refused.err
    assert "--hotfix" in refused.err
    assert shop.place("stg1").live is None
    shop.run.ok("promote", "dev", "staging", "--hotfix", "--reason", "the shop is down")
    assert shop.place("stg1").live
    assert "the shop is down" in shop.run.ok("log", "--json").out, "it is recorded"


def test_where_nothing_differs_the_gate_is_open(shop):
    gated(shop)
    shop.run.ok("deploy", "dev")
    shop.run.ok("promote", "dev", "staging")


def test_too_little_that_was_looked_at_holds_the_gate(shop):
    gated(shop, 100)
    shop.run.ok("deploy", "dev")
    refused = shop.run("promote", "dev", "staging")
    assert refused.code == 7 and "not_checked" in refused.err, str(refused)


def test_what_the_deployment_brings_itself_does_not_hold_it(shop):
    gated(shop)
    shop.run.ok("deploy", "dev", "--ref", "v1.0")
    shop.run.ok("promote", "dev", "staging")
    shop.run.ok("deploy", "dev", "--ref", "main")
    shop.run.ok("promote", "dev", "staging")


def test_an_exception_with_a_day_opens_the_gate_and_is_named(shop):
    gated(shop)
    shop.run.ok("deploy", "dev")
    set_limits_by_hand(shop)
    assert shop.run("promote", "dev", "staging").code == 7
    shop.run.ok("allow", "add", "file/shared/*", "--reason", "a load test", "--owner", "ops", "--until", "2099-01-31")
    plan = shop.run.ok("plan", "staging", "--json").text
    assert "allowed until 2099-01-31: file/shared/*: a load test (ops" in plan, plan
    shop.run.ok("promote", "dev", "staging")
    shop.run.ok("allow", "remove", "1")
    shop.run.ok("allow", "add", "file/shared/*", "--reason", "a load test", "--owner", "ops", "--until", "2020-01-31")
    shop.repo.write("README.md", "# Shop 2\n").commit("Again")
    shop.run.ok("deploy", "dev")
    refused = shop.run("promote", "dev", "staging")
    assert refused.code == 7 and "is over" in refused.err, str(refused)
