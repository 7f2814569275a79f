#!/usr/bin/python3
"""Reads a file of values K0, K1, … with a reader of its format that we did not write,
and prints each value in hex, one a line in order."""

import configparser
import os
import subprocess
import sys
import tempfile

FORMAT, PATH, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3])
NAMES = [f"K{i}" for i in range(COUNT)]
GENERATOR = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator"


def text():
    with open(PATH, "rb") as file:
        return file.read()


def utf8(values):
    return [values[name].encode() for name in NAMES]


def read_json():
    import json

    return utf8(json.loads(text()))


def read_yaml():
    import yaml

    return utf8(yaml.safe_load(text().decode()))


def read_shlex():
    import shlex

    words = shlex.split(text().decode("utf-8", "surrogateescape"), comments=True)
    pairs = dict(word.split("=", 1) for word in words if "=" in word)
    return [pairs[name].encode("utf-8", "surrogateescape") for name in NAMES]


def read_shell(shell):
    # A command substitution would lose final newlines.
    script = f'. "{PATH}"\n' + "".join(f'printf "%s\\0" "${name}"\n' for name in NAMES)
    out = subprocess.run([shell, "-c", script], check=True, stdout=subprocess.PIPE).stdout
    return out.split(b"\0")[:-1]


def read_php(code):
    code += ' foreach ($v as $x) echo bin2hex($x), "\\n";'
    out = subprocess.run(["php", "-r", code, PATH], check=True, stdout=subprocess.PIPE).stdout
    return [bytes.fromhex(line) for line in out.decode().splitlines()]


def read_configparser():
    parser = configparser.ConfigParser()
    parser.optionxform = str
    with open(PATH, encoding="utf-8", newline="") as file:
        parser.read_file(file)
    return utf8(dict(parser.items("s")))


def read_url():
    from urllib.parse import parse_qsl, unquote_to_bytes

    lines = text().split(b"\n")
    assert parse_qsl(b"&".join(lines[:1]), keep_blank_values=True)
    return [unquote_to_bytes(line.split(b"=", 1)[1]) for line in lines[:COUNT]]


def read_base64():
    from base64 import b64decode

    return [b64decode(line.split(b"=", 1)[1], validate=True) for line in text().split(b"\n")[:COUNT]]


def read_systemd():
    """systemd's own reader of env files; it prints them as double-quoted strings."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(folder + "/environment.d")
        with open(folder + "/environment.d/x.conf", "wb") as file:
            file.write(text())
        out = subprocess.run([GENERATOR], check=True, stdout=subprocess.PIPE,
                             env={"XDG_CONFIG_HOME": folder}).stdout
    pairs = {}
    for line in out.splitlines():
        name, value = line.split(b"=", 1)
        if value.startswith(b'"'):
            value = value[1:-1].decode("latin-1").replace("\\$", "$").replace("\\`", "`")
            value = value.encode("latin-1").decode("unicode_escape").encode("latin-1")
        pairs[name.decode()] = value
    return [pairs[name] for name in NAMES]


def read_docker():
    """What cli/opts/file.go does, line by line."""
    pairs = {}
    for line in text().decode().split("\n"):
        line = line.removesuffix("\r").lstrip(" \t")
        if line and not line.startswith("#"):
            name, value = line.split("=", 1)
            assert not any(blank in name for blank in " \t")
            pairs[name] = value
    return utf8(pairs)


READERS = {
    "json": read_json,
    "yaml": read_yaml,
    "shlex": read_shlex,
    "sh": lambda: read_shell("/bin/sh"),
    "bash": lambda: read_shell("/bin/bash"),
    "php": lambda: read_php("$v = include $argv[1];"),
    "ini": lambda: read_php("$v = parse_ini_file($argv[1]);"),
    "configparser": read_configparser,
    "url": read_url,
    "base64": read_base64,
    "systemd": read_systemd,
    "docker": read_docker,
}

for value in READERS[FORMAT]():
    print(value.hex())
