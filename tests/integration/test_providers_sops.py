"""SOPS files, made by a small encoder here with the real age program, and read by
provider_read; the encoder itself is checked by sops-age from npm, which others wrote."""

import base64
import hashlib
import json
import os
import shutil
import subprocess

import pytest

from test_providers_aws import READ, Done, mac

AESGCM = pytest.importorskip("cryptography.hazmat.primitives.ciphers.aead",
                             reason="python3-cryptography is missing: it encrypts the files").AESGCM
MODIFIED = "2026-11-22T10:00:00Z"

VALUES = {"APP": "shop", "DB_PASSWORD": "pä ss:\n$x", "PORT": 5432, "DEBUG": True, "RATIO": 1.5, "EMPTY": "",
          "db": {"password": "deep", "user": {"name": "ada"}}, "hosts": ["one", "two"], "note_unencrypted": "in clear"}
FLAT = {k: v for k, v in VALUES.items() if isinstance(v, str)}


def text_of(value):
    return {True: "True", False: "False"}[value] if isinstance(value, bool) else str(value)


class Sops:
    def __init__(self, folder):
        self.folder = folder
        if not shutil.which("age-keygen"):
            pytest.skip("age is not on this machine: SOPS files were not read")
        self.identity = folder / "keys.txt"
        subprocess.run(["age-keygen", "-o", self.identity], check=True, capture_output=True)
        self.secret = next(line for line in self.identity.read_text().splitlines() if line.startswith("AGE-SECRET-KEY"))
        self.recipient = self.identity.read_text().split("public key: ")[1].split()[0]
        self.key = os.urandom(32)

    def seal(self, value, associated):
        kind = {bool: "bool", int: "int", float: "float", str: "str"}[type(value)]
        if value == "":
            return ""
        iv = os.urandom(32)
        sealed = AESGCM(self.key).encrypt(iv, text_of(value).encode(), associated.encode())
        b64 = lambda raw: base64.b64encode(raw).decode()  # noqa: E731
        return f"ENC[AES256_GCM,data:{b64(sealed[:-16])},iv:{b64(iv)},tag:{b64(sealed[-16:])},type:{kind}]"

    def tree(self, value, path=""):
        if isinstance(value, dict):
            return {k: self.tree(v, f"{path}{k}:") for k, v in value.items()}
        if isinstance(value, list):
            return [self.tree(v, path) for v in value]
        self.sum.update(text_of(value).encode())
        return value if path.endswith("_unencrypted:") else self.seal(value, path)

    def document(self, values, recipient=None):
        self.sum = hashlib.sha512()
        tree = self.tree(values)
        enc = subprocess.run(["age", "-a", "-r", recipient or self.recipient], input=self.key, check=True,
                             capture_output=True).stdout.decode()
        total = self.seal(self.sum.hexdigest().upper(), MODIFIED)
        return tree, {"kms": [], "gcp_kms": [], "azure_kv": [], "hc_vault": [],
                      "age": [{"recipient": recipient or self.recipient, "enc": enc}], "lastmodified": MODIFIED,
                      "mac": total, "pgp": [], "unencrypted_suffix": "_unencrypted", "version": "3.9.4"}

    def write(self, name, values=None, change=None, **meta):
        tree, sops = self.document(VALUES if values is None else values)
        sops |= meta
        if change:
            change(tree, sops)
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith(".json"):
            path.write_text(json.dumps(tree | {"sops": sops}, indent=1))
        elif name.endswith(".env"):
            lines = [f"{k}={v}" for k, v in tree.items()]
            enc = sops["age"][0]["enc"].replace("\n", "\\n")
            lines += [f"sops_age__list_0__map_enc={enc}", f"sops_age__list_0__map_recipient={self.recipient}",
                      f"sops_lastmodified={MODIFIED}", f"sops_mac={sops['mac']}", "sops_version=3.9.4"]
            path.write_text("# a comment\n" + "\n".join(lines) + "\n")
        else:
            path.write_text(self.yaml(tree | {"sops": sops}, ""))
        return path

    def yaml(self, value, indent):
        out = ""
        for k, v in value.items():
            if isinstance(v, dict):
                out += f"{indent}{k}:\n" + self.yaml(v, indent + "    ")
            elif isinstance(v, list) and v and isinstance(v[0], dict):
                out += f"{indent}{k}:\n" + "".join(
                    f"{indent}    - recipient: {i['recipient']}\n{indent}      enc: |\n"
                    + "".join(f"{indent}        {line}\n" for line in i["enc"].splitlines()) for i in v)
            elif isinstance(v, list):
                out += f"{indent}{k}: {json.dumps(v)}\n" if not v else f"{indent}{k}:\n" + "".join(
                    f"{indent}    - {i}\n" for i in v)
            elif k == "lastmodified":
                out += f'{indent}{k}: "{v}"\n'
            else:
                out += f"{indent}{k}: {v}\n" if v != "" else f'{indent}{k}: ""\n'
        return out

    def read(self, path, *arguments, **env):
        clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "SOPS_AGE_KEY_FILE": str(self.identity)} | env
        run = subprocess.run([READ, f"sops:{path}", *arguments], env=clean, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        return Done(json.loads(run.stdout))


@pytest.fixture
def sops(work):
    return Sops(work)


MAPS = [word for pair in ("PW=db/password", "USER=db/user/name", "APP=APP", "DB_PASSWORD=DB_PASSWORD", "PORT=PORT",
                          "DEBUG=DEBUG", "RATIO=RATIO", "EMPTY=EMPTY", "NOTE=note_unencrypted")
        for word in ("--map", pair)]


@pytest.mark.parametrize("name", ["a.yaml", "a.enc.yml", "a.json"])
def test_values_of_a_tree(sops, name):
    done = sops.read(sops.write(name), *MAPS)
    assert done.returncode == 0, done
    assert {k: e["hmac"] for k, e in done.entries.items()} == {
        "PW": mac("deep"), "USER": mac("ada"), "APP": mac("shop"), "DB_PASSWORD": mac("pä ss:\n$x"), "PORT": mac("5432"),
        "DEBUG": mac("true"), "RATIO": mac("1.5"), "EMPTY": mac(""), "NOTE": mac("in clear")}
    assert done.entries["NOTE"]["plain"] and not done.entries["APP"]["plain"]


def test_values_of_lines(sops):
    done = sops.read(sops.write("a.env", FLAT))
    assert done.returncode == 0, done
    assert {k: e["hmac"] for k, e in done.entries.items()} == {k: mac(v) for k, v in FLAT.items()}
    assert done.entries["APP"]["place"].endswith("a.env:2")


@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.env"])
def test_names_need_no_key(sops, name):
    flat = {k: v for k, v in FLAT.items() if k != "EMPTY"}
    done = sops.read(sops.write(name, flat), "--names", PATH="/nonexistent", SOPS_AGE_KEY_FILE="/nonexistent")
    assert set(done.entries) == set(flat) and all("hmac" not in e for e in done.entries.values())


def test_the_identity_may_be_a_variable(sops):
    path = sops.write("a.env", FLAT)
    assert sops.read(path, SOPS_AGE_KEY=sops.secret, SOPS_AGE_KEY_FILE="").returncode == 0


def test_the_identity_is_in_no_argument_nor_environment_of_age(sops, work):
    """A wrapper in front of age notes what it was given."""
    folder = work / "bin"
    folder.mkdir()
    wrapper = folder / "age"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >{work}/seen\nenv >>{work}/seen\nexec {shutil.which("age")} "$@"\n')
    wrapper.chmod(0o755)
    path = sops.write("a.env", FLAT)
    done = sops.read(path, SOPS_AGE_KEY=sops.secret, SOPS_AGE_KEY_FILE="", PATH=f"{folder}:/usr/bin:/bin")
    assert done.returncode == 0, done
    assert "-d -i /dev/fd/" in (work / "seen").read_text() and sops.secret not in (work / "seen").read_text()


def test_without_a_key(sops, work):
    path = sops.write("a.env", FLAT)
    done = sops.read(path, SOPS_AGE_KEY_FILE=str(work / "none"))
    assert done.returncode == 3 and "SOPS_AGE_KEY_FILE" in done.stderr
    subprocess.run(["age-keygen", "-o", work / "other"], check=True, capture_output=True)
    done = sops.read(path, SOPS_AGE_KEY_FILE=str(work / "other"))
    assert done.returncode == 3 and "no key of age at hand" in done.stderr
    done = sops.read(path, PATH="/nonexistent")
    assert done.returncode == 5 and "install age" in done.stderr


def swap(tree, _):
    tree["APP"], tree["DB_PASSWORD"] = tree["DB_PASSWORD"], tree["APP"]


def in_clear(tree, _):
    tree["APP"] = "canary"


def drop(tree, _):
    del tree["APP"]


def malform(tree, _):
    tree["APP"] = "ENC[AES256_GCM,data:!!,iv:AA==,tag:AA==,type:str]"


def no_mac(_, sops):
    sops["mac"] = ""


def later(_, sops):
    sops["lastmodified"] = "2027-01-01T00:00:00Z"


@pytest.mark.parametrize("change, words", [
    (swap, "authentication tag"), (in_clear, "checksum does not fit"), (drop, "checksum does not fit"),
    (malform, "malformed"), (no_mac, "no checksum"), (later, "authentication tag")])
def test_changes_by_hand_are_noticed(sops, change, words):
    done = sops.read(sops.write("a.yaml", FLAT, change))
    assert done.returncode in (1, 3) and words in done.stderr and "canary" not in done.stderr


@pytest.mark.parametrize("meta, words", [
    ({"age": [], "pgp": [{"fp": "x", "enc": "y"}]}, "encrypted with pgp"),
    ({"age": [], "kms": [{"arn": "x", "enc": "y"}]}, "encrypted with kms"),
    ({"age": []}, "not a file of SOPS"),
    ({"key_groups": [{"age": []}]}, "key groups"),
    ({"mac_only_encrypted": True}, "mac_only_encrypted"),
])
def test_what_is_not_read_is_said(sops, meta, words):
    done = sops.read(sops.write("a.json", FLAT, **meta))
    assert done.returncode == 1 and words in done.stderr


def test_other_files_are_refused(sops, work):
    (work / "plain.yaml").write_text("A: b\n")
    assert "no key `sops`" in sops.read(work / "plain.yaml").stderr
    (work / "plain.env").write_text("A=b\n")
    assert "not a file of SOPS" in sops.read(work / "plain.env").stderr
    assert "must end in" in sops.read(work / "plain.txt").stderr


@pytest.fixture(scope="session")
def sops_age(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sops-age")
    if not shutil.which("npm"):
        pytest.skip("npm is not on this machine: the encoder was not checked by sops-age")
    (folder / "package.json").write_text("{}")
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "sops-age@4.0.2"], cwd=folder, capture_output=True,
                          timeout=120)
    if done.returncode:
        pytest.skip("npm gives no sops-age here: the encoder was not checked by it")
    return folder


@pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.env"])
def test_the_encoder_writes_what_another_reader_reads(sops, sops_age, name):
    values = FLAT if name.endswith(".env") else VALUES
    path = sops.write(name, values)
    script = ("import { decryptSops } from 'sops-age'; console.log(JSON.stringify(await decryptSops("
              "{ path: process.argv[1], secretKey: process.argv[2] })))")
    done = subprocess.run(["node", "--input-type=module", "-e", script, str(path), sops.secret], cwd=sops_age,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == values
