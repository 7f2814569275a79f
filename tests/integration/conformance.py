"""Starts the conformance servers and the clients of others, for two test files."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFORMANCE = ROOT / "tests" / "conformance"


class Server:
    """`with Server("vault_kv2_server", content, folder) as server:`"""

    def __init__(self, name, content, folder):
        self.content = Path(folder) / f"{name}.json"
        self.content.write_text(json.dumps(content))
        self.process = subprocess.Popen(
            [sys.executable, str(CONFORMANCE / f"{name}.py"), str(self.content)], stdout=subprocess.PIPE, text=True
        )
        ready = self.process.stdout.readline()
        assert ready.startswith("READY "), ready
        self.url = ready.split()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    def control(self, path, data=None):
        body = None if data is None else json.dumps(data).encode()
        with urllib.request.urlopen(f"{self.url}/_control/{path}", body, timeout=10) as answer:
            return json.load(answer)

    def faults(self, *faults):
        self.control("faults", list(faults))

    def log(self):
        return self.control("log")


def clients():
    """The folder with the vendors' clients, installed from the lock file once."""
    source = CONFORMANCE / "clients"
    lock = (source / "package-lock.json").read_bytes()
    cache = ROOT / "build" / "conformance-clients"
    folder = cache / hashlib.sha256(lock).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            npm = shutil.which("npm")
            assert npm, "there is no npm: ./dev test installs it"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(source / name, folder)
            done = subprocess.run(
                [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            (folder / "done").touch()
    return folder


def ask_with_client(kind, endpoint, credentials):
    done = subprocess.run(
        ["node", str(CONFORMANCE / "clients" / "check.mjs"), kind, endpoint, json.dumps(credentials)],
        env={**os.environ, "CLIENTS": str(clients())},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


VAULT = {
    "mounts": {
        "kv": {
            "shop/production": {
                "versions": [
                    {"data": {"DB_PASSWORD": "canary-old-db"}},
                    {"data": {"DB_PASSWORD": "canary-db-é\n2", "PORT": 8443, "RATIO": 0.1, "DEBUG": False, "EMPTY": "",
                              "LIST": ["a", 1]}},
                ]
            },
            "shop/production/db": {"versions": [{"data": {"password": "canary-below", "user": "shop"}}]},
            "shop/production/deep/more": {"versions": [{"data": {"DEEP": "canary-deep"}}]},
            "shop/deleted": {"versions": [{"data": {"A": "canary-a"}}, {"data": {}, "deleted": True}]},
            "shop/destroyed": {"versions": [{"data": {}, "destroyed": True}]},
            "shop/odd": {"versions": [{"data": {"db-password": "canary-odd", "NOTHING": None}}]},
            "other/secret": {"versions": [{"data": {"A": "canary-other"}}]},
        },
        "team/kv": {"app": {"versions": [{"data": {"A": "canary-team"}}]}},
    },
    "policies": {
        "reader": {"kv/data/shop/*": ["read"], "kv/subkeys/shop/*": ["read"], "kv/metadata/shop*": ["list", "read"],
                   "team/kv/data/*": ["read"]},
        "names": {"kv/subkeys/shop/*": ["read"], "kv/metadata/shop*": ["list"]},
    },
    "tokens": {
        "token-reader": {"policies": ["reader"]},
        "token-names": {"policies": ["names"]},
        "token-expired": {"policies": ["reader"], "expired": True},
        "token-team": {"policies": ["reader"], "namespace": "team"},
    },
    "approles": {
        "role-1": {"secret_ids": ["secret-id-1"], "policies": ["reader"], "ttl_s": 3600},
        "role-once": {"secret_ids": ["secret-id-1"], "policies": ["reader"], "ttl_s": 3600, "uses": 1},
        "role-lapsed": {"secret_ids": ["secret-id-1"], "policies": ["reader"], "ttl_s": 0},
    },
}

DOPPLER = {
    "tokens": {
        "dp.st.prd.token": {"project": "shop", "config": "prd"},
        "dp.st.prd.revoked": {"project": "shop", "config": "prd", "revoked": True},
    },
    "configs": {
        "shop/prd": {"DB_PASSWORD": "canary-doppler", "APP_URL": "https://shop.acme.io", "EMPTY": ""},
        "shop/stg": {"DB_PASSWORD": "canary-staging"},
    },
    "dynamic": {"shop/prd": ["LEASED"]},
}

INFISICAL = {
    "identities": {
        "client-1": {"secret": "client-secret-1", "ttl_s": 3600, "projects": ["p"], "may": ["describe", "read"]},
        "client-names": {"secret": "client-secret-1", "ttl_s": 3600, "projects": ["p"], "may": ["describe"]},
        "client-lapsed": {"secret": "client-secret-1", "ttl_s": 0, "projects": ["p"], "may": ["describe", "read"]},
    },
    "projects": {
        "p": {
            "production": {
                "/": {"DB_PASSWORD": "canary-infisical", "APP_URL": "https://shop.acme.io"},
                "/web": {"DB_PASSWORD": "canary-web", "WORKERS": "4"},
                "/web/db": {"password": "canary-web-db"},
                "/tied": {"OWN": "own"},
            },
            "shared": {"/common": {"SENTRY_DSN": "canary-common", "APP_URL": "imported"}, "/more": {"SENTRY_DSN": "x"}},
        },
        "q": {"production": {"/": {}}},
    },
    "imports": {
        "p/production/": [["shared", "/common"]],
        "p/production/tied": [["shared", "/common"], ["shared", "/more"]],
    },
    "personal": {"p/production/": {"DB_PASSWORD": "canary-mine"}},
}
