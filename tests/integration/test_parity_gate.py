"""An environment that must be like another one is deployed to only when that was seen."""


def test_what_was_never_looked_at_holds_the_gate_and_a_hotfix_goes_past_it(shop):
    shop.environment("dev", "dev1")
    shop.environment("staging", "stg1", promote_from="dev")
    shop.config["environments"]["staging"]["require"] = {"parity_with": "dev"}
    shop.serve_all()
    shop.run.ok("deploy", "dev")
    refused = shop.run("promote", "dev", "staging")
    assert refused.code == 7, str(refused)
    assert "gate parity is not_checked" in refused.err and "held against dev" in refused.err
    assert "lockstep diff dev staging" in refused.err
    assert shop.place("stg1").live is None
    shop.run.ok("promote", "dev", "staging", "--hotfix", "--reason", "checkout is down")
    assert shop.place("stg1").live
    del shop.config["environments"]["staging"]["require"]
    shop.save().run.ok("promote", "dev", "staging")
