"""Our providers against the conformance servers, each reading by a process of its own
(provider_read.c), so that its environment and its memory are its own too."""

import hashlib
import hmac
import json
import subprocess
import time

import pytest

from conftest import BINARY
from conformance import DOPPLER, INFISICAL, VAULT, Server

READER = BINARY.parent / "tests" / "provider_read"

pytestmark = pytest.mark.san


def reader_env(work, env):
    home = work / "home"
    home.mkdir(exist_ok=True)
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), **env}


def read(work, url, *args, **env):
    """The entries by name, or the error."""
    argv = [str(READER), url, *args]
    done = subprocess.run(argv, env=reader_env(work, env), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for secret in [value for name, value in env.items() if "TOKEN" in name or "SECRET" in name] + ["canary"]:
        assert secret not in done.stdout + done.stderr or "/" in secret, done.stdout  # a path is none
    outcome = json.loads(done.stdout)
    if "error" in outcome:
        return outcome["error"]
    return {row["name"]: row for row in outcome["entries"]}


def hmacs(rows):
    return {name: row.get("hmac") for name, row in rows.items()}


def of(**values):
    return {name: hmac.new(b"test", value.encode(), hashlib.sha256).hexdigest() for name, value in values.items()}


@pytest.fixture
def vault(work):
    with Server("vault_kv2_server", VAULT, work) as server:
        yield server


@pytest.fixture
def doppler(work):
    with Server("doppler_server", DOPPLER, work) as server:
        yield server


@pytest.fixture
def infisical(work):
    with Server("infisical_server", INFISICAL, work) as server:
        yield server


# --- Vault ---------------------------------------------------------------------------------


def vault_read(work, vault, url="vault://kv/shop/production", *args, **env):
    return read(work, url, *args, VAULT_ADDR=vault.url, **{"VAULT_TOKEN": "token-reader", **env})


PRODUCTION = of(DB_PASSWORD="canary-db-é\n2", PORT="8443", RATIO="0.1", DEBUG="false", EMPTY="", LIST='["a",1]')


def test_vault_gives_values_with_their_version_and_place(work, vault):
    rows = vault_read(work, vault)
    assert hmacs(rows) == PRODUCTION
    assert rows["PORT"]["version"] == "2" and rows["PORT"]["place"] == "vault://kv/shop/production#PORT"
    assert rows["PORT"]["changed_ms"] == 1767320646000  # 2026-01-02T02:24:06Z
    [asked] = vault.log()
    assert asked["path"] == "/v1/kv/data/shop/production" and asked["headers"]["X-Vault-Request"] == "true"


def test_vault_is_not_asked_for_values_where_names_are_enough(work, vault):
    rows = vault_read(work, vault, "vault://kv/shop/production", "--names", VAULT_TOKEN="token-names")
    assert hmacs(rows) == dict.fromkeys(PRODUCTION)
    assert [row["path"] for row in vault.log()] == ["/v1/kv/subkeys/shop/production"]


def test_vault_gives_an_earlier_version(work, vault):
    rows = vault_read(work, vault, "vault://kv/shop/production", "--version", "1")
    assert hmacs(rows) == of(DB_PASSWORD="canary-old-db") and rows["DB_PASSWORD"]["version"] == "1"


def test_vault_walks_a_folder(work, vault):
    rows = vault_read(work, vault, "vault://kv/shop/production/")
    assert hmacs(rows) == of(password="canary-below", user="shop", DEEP="canary-deep")
    assert rows["DEEP"]["place"] == "vault://kv/shop/production/deep/more#DEEP"


def test_vault_maps_keys_of_secrets_below(work, vault):
    maps = ["--map", "DB_PASSWORD=db#password", "--map", "DB_USER=db#user", "--map", "PORT=PORT"]
    rows = vault_read(work, vault, "vault://kv/shop/production", *maps)
    assert hmacs(rows) == of(DB_PASSWORD="canary-below", DB_USER="shop", PORT="8443")
    assert len(vault.log()) == 2  # each secret once
    missing = vault_read(work, vault, "vault://kv/shop/production", "--map", "X=db#nothing")
    assert missing["code"] == "not_found" and "db#nothing (for X)" in missing["text"]
    outside = vault_read(work, vault, "vault://kv/shop/production", "--map", "X=../../other/secret#A")
    assert outside["code"] == "user" and "does not stand below it" in outside["text"]


def test_vault_finds_a_mount_with_a_slash_and_a_namespace(work, vault):
    env = {"VAULT_TOKEN": "token-team", "VAULT_NAMESPACE": "team"}
    assert hmacs(vault_read(work, vault, "vault://team%2Fkv/app", **env)) == of(A="canary-team")
    refused = vault_read(work, vault, "vault://team%2Fkv/app", VAULT_TOKEN="token-team")
    assert refused["code"] == "denied" and "of another namespace" in refused["text"]


def test_vault_logs_in_with_an_approle_or_takes_the_token_of_home(work, vault):
    def role(name, **env):
        return read(work, "vault://kv/shop/production", "--endpoint", vault.url, VAULT_ROLE_ID=name, **env)

    assert hmacs(role("role-1", VAULT_SECRET_ID="secret-id-1")) == PRODUCTION
    secret_file = work / "secret-id"
    secret_file.write_text("secret-id-1\n")
    assert hmacs(role("role-once", VAULT_SECRET_ID_FILE=str(secret_file))) == PRODUCTION
    used_up = role("role-once", VAULT_SECRET_ID="secret-id-1")
    assert used_up["code"] == "denied" and "wrong, expired or used up" in used_up["text"]
    lapsed = role("role-lapsed", VAULT_SECRET_ID="secret-id-1")
    assert lapsed["code"] == "denied" and "the token from AppRole is not valid" in lapsed["text"]
    reader_env(work, {})
    (work / "home" / ".vault-token").write_text("token-reader")
    assert hmacs(read(work, "vault://kv/shop/production", "--endpoint", vault.url)) == PRODUCTION


def test_vault_says_which_path_and_which_capability_is_missing(work, vault):
    def refused(url, *args, **env):
        error = vault_read(work, vault, url, *args, **env)
        assert f"Vault at {vault.url}" in error["text"]
        return error

    denied = refused("vault://kv/shop/production", VAULT_TOKEN="token-names")
    assert denied["code"] == "denied"
    assert "lack `read` on `kv/data/shop/production`" in denied["text"]
    assert 'path "kv/data/shop/production" { capabilities = ["read"] }' in denied["hint"]
    names = refused("vault://kv/other/secret", "--names", VAULT_TOKEN="token-names")
    assert "lack `read` on `kv/subkeys/other/secret`" in names["text"]
    folder = refused("vault://kv/other/")
    assert "lack `list` on `kv/metadata/other`" in folder["text"]
    expired = refused("vault://kv/shop/production", VAULT_TOKEN="token-expired")
    assert expired["code"] == "denied" and "token from VAULT_TOKEN is not valid" in expired["text"]
    missing = refused("vault://kv/shop/nowhere")
    assert missing["code"] == "not_found" and "kv/shop/nowhere: there is nothing" in missing["text"]
    mount = refused("vault://nokv/shop")
    assert mount["code"] == "not_found" and 'no engine mounted at "nokv"' in mount["text"]
    deleted = refused("vault://kv/shop/deleted")
    assert deleted["code"] == "not_found" and "version 2 was deleted" in deleted["text"]
    assert "version 1 was destroyed" in refused("vault://kv/shop/destroyed", "--names")["text"]
    version = refused("vault://kv/shop/production", "--version", "9")
    assert "there is nothing of version 9" in version["text"]
    vault.log()
    assert "cannot be the name of a variable" in vault_read(work, vault, "vault://kv/shop/odd", "--names")["text"]
    assert "has no value there (null)" in vault_read(work, vault, "vault://kv/shop/odd")["text"]


def test_vault_says_where_it_is_and_how_to_log_in_when_nothing_is_set(work):
    nowhere = read(work, "vault://kv/shop", VAULT_TOKEN="token-x")
    assert nowhere["code"] == "user" and "set VAULT_ADDR" in nowhere["hint"]
    tokenless = read(work, "vault://kv/shop", VAULT_ADDR="http://127.0.0.1:9")
    assert tokenless["code"] == "denied" and "VAULT_ROLE_ID" in tokenless["hint"]
    plain = read(work, "vault://kv/shop", VAULT_ADDR="http://vault.example", VAULT_TOKEN="token-x")
    assert plain["code"] == "user" and "in clear over the network" in plain["text"]
    inside = read(work, "vault://kv/shop", VAULT_ADDR="https://a:token-y@vault.example", VAULT_TOKEN="token-x")
    assert inside["code"] == "user" and "token-y" not in inside["text"]


def test_vault_is_asked_again_while_it_may_pass(work, vault):
    busy = {"Retry-After": "1"}
    for fault in (
        {"status": 412, "body": {"errors": ["required index state not present"]}},
        {"status": 429, "headers": busy, "body": {"errors": ["request path rate limit quota exceeded"]}},
        {"status": 503, "body": {"errors": ["Vault is sealed"]}},
        {"truncate": 20},
        {"close": True},
        {"slow_ms": 300},
    ):
        vault.faults({"match": "/v1/kv", **fault})
        assert hmacs(vault_read(work, vault)) == PRODUCTION, fault
        assert len(vault.log()) == (1 if "slow_ms" in fault else 2), fault


def test_vault_is_given_up_with_the_reason(work, vault):
    for fault, code, words in (
        ({"status": 412}, "network", "this node has not caught up"),
        ({"status": 429, "headers": {"Retry-After": "60"}}, "network", "too many requests (status 429"),
        ({"status": 503, "body": {"errors": ["Vault is sealed"]}}, "network", "sealed or in maintenance"),
        ({"status": 473}, "network", "stands by"),
        ({"status": 307, "headers": {"Location": "http://127.0.0.1:1/"}}, "network", "redirect"),
        ({"truncate": 20}, "network", "the answer was cut off"),
        ({"slow_ms": 4000}, "network", "did not end in time"),
        ({"garbage": True}, "network", "its answer: line 1, column"),
    ):
        vault.faults({"match": "/v1/kv", "times": 9, **fault})
        began = time.monotonic()
        error = vault_read(work, vault, "vault://kv/shop/production", "--timeout", "2000")
        assert (error["code"], words in error["text"]) == (code, True), (fault, error)
        assert time.monotonic() - began < 10
        vault.faults()
    # With the time that is usual it waits as long as it was asked to, within the limit.
    vault.faults({"match": "/v1/kv", "times": 9, "status": 429, "headers": {"Retry-After": "60"}})
    assert "asks to wait 60 s" in vault_read(work, vault)["hint"]


def test_vault_addresses_are_checked_before_anybody_is_asked(work, vault):
    for url in ("vault:kv/shop", "vault://", "vault://kv", "vault://kv/", "vault://kv/a//b", "vault://kv/../x",
                "vault://kv/%2e%2e/x", "vault://kv/a?version=1", "vault://kv/a%0ab", "vault://kv/a%2"):
        error = vault_read(work, vault, url)
        assert error["code"] == "user", url
    assert vault.log() == []


# --- Doppler -------------------------------------------------------------------------------


def doppler_read(work, doppler, url="doppler://shop/prd", *args, **env):
    return read(work, url, "--endpoint", doppler.url, *args, **{"DOPPLER_TOKEN": "dp.st.prd.token", **env})


SHOP = of(DB_PASSWORD="canary-doppler", APP_URL="https://shop.acme.io", EMPTY="")


def test_doppler_gives_values_or_names_and_makes_no_lease(work, doppler):
    rows = doppler_read(work, doppler)
    assert hmacs(rows) == SHOP and rows["EMPTY"]["place"] == "doppler://shop/prd#EMPTY"
    assert hmacs(doppler_read(work, doppler, "doppler://shop/prd", "--names")) == dict.fromkeys(SHOP)
    values, names = doppler.log()
    assert values["path"].endswith("/secrets/download") and names["path"].endswith("/secrets/names")
    assert [row["query"]["include_dynamic_secrets"] for row in (values, names)] == ["false", "false"]


def test_doppler_maps_names(work, doppler):
    rows = doppler_read(work, doppler, "doppler://shop/prd", "--map", "PASSWORD=DB_PASSWORD")
    assert hmacs(rows) == of(PASSWORD="canary-doppler")


def test_doppler_says_what_is_missing(work, doppler):
    revoked = doppler_read(work, doppler, DOPPLER_TOKEN="dp.st.prd.revoked")
    assert revoked["code"] == "denied" and "not valid, or was revoked" in revoked["text"]
    denied = doppler_read(work, doppler, "doppler://shop/stg")
    assert denied["code"] == "denied" and "shop/stg" in denied["text"] and "may not read" in denied["text"]
    missing = doppler_read(work, doppler, "doppler://shop/nowhere")
    assert missing["code"] == "not_found" and '"nowhere"' in missing["text"]
    tokenless = read(work, "doppler://shop/prd", "--endpoint", doppler.url)
    assert tokenless["code"] == "denied" and "set DOPPLER_TOKEN" in tokenless["hint"]
    doppler.faults({"match": "/v3", "times": 9, "status": 429, "headers": {"Retry-After": "60"}})
    assert "too many requests" in doppler_read(work, doppler)["text"]
    doppler.faults({"match": "/v3", "status": 502}, {"match": "/v3", "truncate": 9})
    assert hmacs(doppler_read(work, doppler)) == SHOP
    for url in ("doppler:shop", "doppler://shop", "doppler://shop/prd/x", "doppler:///prd"):
        assert doppler_read(work, doppler, url)["code"] == "user"


# --- Infisical -----------------------------------------------------------------------------


def infisical_read(work, infisical, url="infisical://p/production", *args, **env):
    usual = {"INFISICAL_CLIENT_ID": "client-1", "INFISICAL_CLIENT_SECRET": "client-secret-1"}
    return read(work, url, "--endpoint", infisical.url, *args, **{**usual, **env})


ROOT_FOLDER = of(DB_PASSWORD="canary-infisical", APP_URL="https://shop.acme.io", SENTRY_DSN="canary-common")


def test_infisical_gives_a_folder_with_its_imports_and_nobodys_overrides(work, infisical):
    rows = infisical_read(work, infisical)
    assert hmacs(rows) == ROOT_FOLDER
    assert rows["SENTRY_DSN"]["place"] == "infisical://p/shared/common#SENTRY_DSN"
    assert rows["DB_PASSWORD"]["version"] == "3"
    login, asked = infisical.log()
    assert login["path"] == "/api/v1/auth/universal-auth/login" and login["query"] == {}
    assert asked["path"] == "/api/v4/secrets"
    assert asked["query"] | {"includePersonalOverrides": "false", "recursive": "false"} == asked["query"]


def test_infisical_is_not_asked_for_values_where_names_are_enough(work, infisical):
    rows = infisical_read(work, infisical, "infisical://p/production", "--names", INFISICAL_CLIENT_ID="client-names")
    assert hmacs(rows) == dict.fromkeys(ROOT_FOLDER)
    assert infisical.log()[-1]["query"]["viewSecretValue"] == "false"


def test_infisical_maps_secrets_of_folders_below(work, infisical):
    maps = ["--map", "WORKERS=WORKERS", "--map", "DB_PASSWORD=db/password"]
    rows = infisical_read(work, infisical, "infisical://p/production/web/", *maps)
    assert hmacs(rows) == of(WORKERS="4", DB_PASSWORD="canary-web-db")
    assert rows["DB_PASSWORD"]["place"] == "infisical://p/production/web/db#password"


def test_infisical_refuses_a_name_of_two_imports(work, infisical):
    tied = infisical_read(work, infisical, "infisical://p/production/tied")
    assert tied["code"] == "user" and "/common#SENTRY_DSN and" in tied["text"] and "/more#" in tied["text"]


def test_older_infisicals_are_asked_as_they_know_it(work):
    for change, paths in (
        ({"old": True}, ["/api/v4/secrets", "/api/v3/secrets/raw"]),
        ({"imports_name": "include_imports"}, ["/api/v4/secrets"]),
    ):
        with Server("infisical_server", {**INFISICAL, **change}, work) as server:
            assert hmacs(infisical_read(work, server)) == ROOT_FOLDER
            assert [row["path"] for row in server.log()][1:] == paths


def test_infisical_says_what_is_missing(work, infisical):
    wrong = infisical_read(work, infisical, INFISICAL_CLIENT_SECRET="wrong-secret")
    assert wrong["code"] == "denied" and "refused the login (status 401)" in wrong["text"]
    lapsed = infisical_read(work, infisical, INFISICAL_CLIENT_ID="client-lapsed")
    assert lapsed["code"] == "denied" and "universal auth is not valid, or expired" in lapsed["text"]
    hidden = infisical_read(work, infisical, INFISICAL_CLIENT_ID="client-names")
    assert hidden["code"] == "denied" and "lacks `Read Value`" in hidden["text"]
    denied = infisical_read(work, infisical, "infisical://q/production")
    assert denied["code"] == "denied" and "project q, path /" in denied["text"]
    missing = infisical_read(work, infisical, "infisical://p/production/nowhere")
    assert missing["code"] == "not_found" and "path /nowhere" in missing["text"]
    nothing = read(work, "infisical://p/production", "--endpoint", infisical.url)
    assert nothing["code"] == "denied" and "INFISICAL_CLIENT_ID" in nothing["hint"]
    infisical.faults({"match": "/api/v4", "status": 503}, {"match": "/login", "status": 429})
    assert hmacs(infisical_read(work, infisical)) == ROOT_FOLDER
    infisical.faults({"match": "/api/v4", "times": 9, "garbage": True})
    assert "proxy in between" in infisical_read(work, infisical)["hint"]


# --- a command -----------------------------------------------------------------------------


def test_a_command_prints_env_or_json(work):
    folder = ["--folder", str(work)]
    rows = read(work, "command:printf 'A=one\\nexport B=\"two words\"\\n'", *folder)
    assert hmacs(rows) == of(A="one", B="two words")
    assert rows["B"]["place"].startswith("command:printf") and rows["B"]["place"].endswith(":2")
    (work / "values.json").write_text('{"A": "one", "N": 12, "FLAG": true}')
    assert hmacs(read(work, "command:cat values.json", *folder)) == of(A="one", N="12", FLAG="true")
    assert hmacs(read(work, "command:cat values.json", *folder, "--names")) == dict.fromkeys(["A", "N", "FLAG"])
    assert hmacs(read(work, "command:cat values.json", *folder, "--map", "X=A")) == of(X="one")


def test_a_command_gets_little_of_the_environment(work):
    env = {"AWS_SECRET_ACCESS_KEY": "let-through-1", "OTHER": "x", "LOCKSTEP_COMMAND_ENV": "AWS_SECRET_ACCESS_KEY"}
    rows = read(work, "command:env -u PWD -u _ -u SHLVL -u OLDPWD", "--folder", str(work), **env)
    assert set(rows) == {"PATH", "HOME", "LOCKSTEP_PROJECT", "LOCKSTEP_ENVIRONMENT", "AWS_SECRET_ACCESS_KEY"}


def test_a_command_that_fails_is_quoted_without_values(work):
    (work / "fetch").write_text('echo A=canary-of-a-command; echo "no: canary-of-a-command $GIVEN_TOKEN" >&2; exit 3')
    error = read(work, "command:sh fetch", "--folder", str(work), GIVEN_TOKEN="given-to-it", LOCKSTEP_COMMAND_ENV="GIVEN_TOKEN")
    assert error["code"] == "user" and "failed with status 3: no: *** ***" in error["text"]
    assert "LOCKSTEP_COMMAND_ENV" in error["hint"]


def test_a_command_whose_values_are_not_known_is_not_quoted(work):
    (work / "fetch").write_text("echo 'A=canary-one'; echo 'B=\"canary-two'; echo 'no: canary-one' >&2; exit 3")
    error = read(work, "command:sh fetch", "--folder", str(work))
    assert "failed with status 3" in error["text"] and "not shown" in error["text"]
    assert "canary" not in error["text"] + error["hint"]


def test_a_command_has_limits(work):
    began = time.monotonic()
    assert "sleep" in read(work, "command:sleep 60", "--timeout", "300")["text"]
    assert time.monotonic() - began < 20
    assert "wrote more than" in read(work, "command:yes A=1")["text"]
    for printed in ('{"A": {"B": 1}}', '{"A": null}', '{"A": canary-x}', 'A="canary-open', '[1]'):
        (work / "printed").write_text(printed)
        assert read(work, "command:cat printed", "--folder", str(work))["code"] == "user", printed
    assert read(work, "command: ")["code"] == "user"


# --- what stays in memory --------------------------------------------------------------------


def memory_of(pid):
    """All of a process's memory that can be read."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, access = line.split()[:2]
            if access[0] != "r" or "[v" in line:
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            if end - start > 1 << 32:  # the shadow of a sanitizer
                continue
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue


# Long, since the allocator itself writes over the beginning of what is freed.
MEMORY = {f"NAME_{i}": f"canary-{'0123456789' * 9}-end-{i}" for i in range(40)}
CANARY = b"0123456789-end-"


@pytest.mark.parametrize("kind", ["vault", "doppler", "infisical", "command"])
def test_values_are_gone_from_memory_once_the_safe_is_closed(work, kind):
    if "build-san" in BINARY.parts:
        pytest.skip("a sanitizer keeps freed memory on purpose")
    (work / "values.json").write_text(json.dumps(MEMORY))
    vault = {**VAULT, "mounts": {"kv": {"shop/memory": {"versions": [{"data": MEMORY}]}}}}
    infisical = {**INFISICAL, "projects": {"p": {"production": {"/": MEMORY}}}, "imports": {}}
    name, content, url, env = {
        "vault": ("vault_kv2_server", vault, "vault://kv/shop/memory", {"VAULT_TOKEN": "token-reader"}),
        "doppler": ("doppler_server", {**DOPPLER, "configs": {"shop/prd": MEMORY}}, "doppler://shop/prd",
                    {"DOPPLER_TOKEN": "dp.st.prd.token"}),
        "infisical": ("infisical_server", infisical, "infisical://p/production",
                      {"INFISICAL_CLIENT_ID": "client-1", "INFISICAL_CLIENT_SECRET": "client-secret-1"}),
        "command": ("doppler_server", DOPPLER, "command:cat values.json", {}),
    }[kind]
    with Server(name, content, work) as server:
        argv = [str(READER), url, "--hold", "--folder", str(work), "--endpoint", server.url]
        process = subprocess.Popen(argv, env=reader_env(work, env), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert len(json.loads(process.stdout.readline())["entries"]) == len(MEMORY)
            pieces = list(memory_of(process.pid))
        finally:
            process.stdin.close()
            process.wait(10)
            process.stdout.close()
    assert sum(piece.count(b"NAME_39") for piece in pieces) > 0  # names are there, so it is the right memory
    assert sum(piece.count(CANARY) for piece in pieces) == 0
