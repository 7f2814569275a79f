"""The conformance servers are checked by clients we did not write: the vendors' own, or
the one most used, from npm."""

from conformance import DOPPLER, INFISICAL, VAULT, Server, ask_with_client


def test_node_vault_understands_the_vault_kv2_server(work):
    with Server("vault_kv2_server", VAULT, work) as server:
        credentials = {"token": "token-reader", "expired": "token-expired", "role_id": "role-1",
                       "secret_id": "secret-id-1"}
        got = ask_with_client("vault", server.url, credentials)
        asked = [(row["method"], row["path"]) for row in server.log()]
    assert got["read"]["data"]["PORT"] == 8443 and got["read"]["metadata"]["version"] == 2
    assert got["version"]["data"] == {"DB_PASSWORD": "canary-old-db"}
    assert set(got["subkeys"]["subkeys"]) == {"DB_PASSWORD", "PORT", "RATIO", "DEBUG", "EMPTY", "LIST"}
    assert set(got["subkeys"]["subkeys"].values()) == {None} and "canary" not in str(got["subkeys"])
    assert got["list"]["keys"] == ["deleted", "destroyed", "odd", "production", "production/"]
    assert got["metadata"]["current_version"] == 2
    assert got["missing"] == {"failed": "Status 404", "status": 404}
    assert got["denied"]["status"] == 403 and "permission denied" in got["denied"]["failed"]
    assert got["expired"]["status"] == 403 and got["tokenless"]["status"] == 403
    assert got["login"] == {"renewable": True, "lease": 3600}
    assert got["after_login"]["PORT"] == 8443
    assert got["wrong_login"] == {"failed": "invalid role or secret ID", "status": 400}
    assert ("LIST", "/v1/kv/metadata/shop") in asked and ("POST", "/v1/auth/approle/login") in asked


def test_dopplers_client_understands_the_doppler_server(work):
    with Server("doppler_server", DOPPLER, work) as server:
        got = ask_with_client("doppler", server.url, {"token": "dp.st.prd.token", "revoked": "dp.st.prd.revoked"})
        asked = {row["path"] for row in server.log()}
    assert {"APP_URL", "DB_PASSWORD", "EMPTY", "DOPPLER_CONFIG"} <= set(got["names"]["names"])
    assert got["list"]["secrets"]["DB_PASSWORD"]["computed"] == "canary-doppler"
    assert got["download"]["DB_PASSWORD"] == "canary-doppler" and "LEASED" not in got["download"]
    for name in ("missing", "denied", "revoked"):
        assert "failed" in got[name], name
    assert asked == {"/v3/configs/config/secrets" + end for end in ("", "/names", "/download")}


def test_infisicals_client_understands_the_infisical_server(work):
    with Server("infisical_server", INFISICAL, work) as server:
        got = ask_with_client("infisical", server.url, {"id": "client-1", "secret": "client-secret-1"})
        asked = {row["path"] for row in server.log()}
    assert got["login"] is True
    values = {row["secretKey"]: row["secretValue"] for row in got["list"]["secrets"]}
    assert values == {"DB_PASSWORD": "canary-infisical", "APP_URL": "https://shop.acme.io"}
    assert {row["secretPath"] for row in got["recursive"]["secrets"]} == {"/", "/web", "/web/db", "/tied"}
    assert {row["secretKey"] for row in got["imports"]} == {"DB_PASSWORD", "APP_URL", "SENTRY_DSN"}
    assert all(row["secretValueHidden"] for row in got["hidden"]["secrets"]) and "canary" not in str(got["hidden"])
    for name, status in (("missing", 404), ("denied", 403), ("wrong_login", 401)):
        assert str(status) in str(got[name]), got[name]
    assert asked == {"/api/v1/auth/universal-auth/login", "/api/v3/secrets/raw"}
