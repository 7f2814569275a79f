#!/usr/bin/python3
"""A server that answers as the key-value engine, version 2, of HashiCorp Vault is
documented to. It is no Vault: it holds what a JSON file says, and knows only the routes
below. Each cites the vendor's page it was written from:

[kv]      https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2
[approle] https://developer.hashicorp.com/vault/api-docs/auth/approle
[token]   https://developer.hashicorp.com/vault/api-docs/auth/token
[api]     https://developer.hashicorp.com/vault/api-docs  (headers, status codes)

    {"mounts": {"kv": {"shop/production": {"versions": [{"data": {…}, "deleted": true?,
        "destroyed": true?}], "created": "…"}}},
     "policies": {"reader": {"kv/data/shop/*": ["read"], …}},
     "tokens": {"t": {"policies": ["reader"], "expired": true?, "ttl_s": 3?, "namespace": "team"?}},
     "approles": {"ROLE-ID": {"secret_ids": ["…"], "policies": […], "ttl_s": 3600, "uses": 1?}},
     "require_request_header": true?}
"""

import time
from fnmatch import fnmatchcase
from secrets import token_urlsafe
from urllib.parse import unquote

from conformance_server import Answer, Service, json_body, main


def wrapped(data=None, auth=None):
    """[api] what every answer with a body looks like."""
    return {
        "request_id": "3b2f0d3e-0000-4000-8000-000000000000",
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": data,
        "wrap_info": None,
        "warnings": None,
        "auth": auth,
    }


def refuse(status, *errors):
    raise Answer(status, {"errors": list(errors)})


class VaultKv2(Service):
    def __init__(self, content):
        super().__init__(content)
        now = time.monotonic()
        for token in self.content["tokens"].values():
            token["until"] = now + token.get("ttl_s", 3600)

    # --- who asks, and whether they may -------------------------------------------------

    def token_of(self, request):
        if self.content.get("require_request_header") and request.headers.get("X-Vault-Request") != "true":
            refuse(412, "missing 'X-Vault-Request' header")  # [api] The X-Vault-Request Header
        name = request.headers.get("X-Vault-Token")
        if not name:
            refuse(403, "missing client token")
        token = self.content["tokens"].get(name)
        if not token or token.get("expired") or token["until"] <= time.monotonic():
            refuse(403, "permission denied", "invalid token")
        # [api] Namespaces: a token belongs to the namespace it was made in.
        if token.get("namespace", "") != (request.headers.get("X-Vault-Namespace") or "").strip("/"):
            refuse(403, "permission denied", "invalid token")
        return token

    def demand(self, token, capability, path):
        for policy in token["policies"]:
            for pattern, capabilities in self.content["policies"].get(policy, {}).items():
                if fnmatchcase(path, pattern) and capability in capabilities:
                    return
        # Vault ends such an error like this, with two line breaks.
        refuse(403, "1 error occurred:\n\t* permission denied\n\n")

    # --- routes ----------------------------------------------------------------------------

    def route(self, request):
        if not request.url_path.startswith("/v1/"):
            refuse(404)
        path = unquote(request.url_path[len("/v1/") :])
        if path == "auth/approle/login":
            return self.login(request)
        token = self.token_of(request)
        if path == "auth/token/lookup-self":
            return self.lookup_self(request, token)
        for mount in self.content["mounts"]:
            if path.startswith(mount + "/"):
                kind, _, rest = path[len(mount) + 1 :].partition("/")
                return self.engine(request, token, mount, kind, rest)
        refuse(404, f'no handler for route "{path}". route entry not found.')

    def login(self, request):
        """[approle] Login with AppRole: POST /auth/approle/login"""
        if request.command not in ("POST", "PUT"):
            refuse(405, "unsupported operation")
        body = json_body(request, lambda why: refuse(400, why))
        if not set(body) <= {"role_id", "secret_id"}:
            refuse(400, "unknown parameters")
        role = self.content["approles"].get(body.get("role_id"))
        if not role or body.get("secret_id") not in role["secret_ids"]:
            refuse(400, "invalid role or secret ID")
        if "uses" in role:
            if role["uses"] == 0:
                refuse(400, "invalid role or secret ID")
            role["uses"] -= 1
        name = "hvs." + token_urlsafe(18)
        self.content["tokens"][name] = {"policies": role["policies"], "until": time.monotonic() + role["ttl_s"]}
        auth = {
            "client_token": name,
            "accessor": "accessor",
            "policies": ["default", *role["policies"]],
            "token_policies": ["default", *role["policies"]],
            "metadata": {"role_name": "shop"},
            "lease_duration": role["ttl_s"],
            "renewable": True,
            "token_type": "service",
        }
        return 200, wrapped(auth=auth), {}

    def lookup_self(self, request, token):
        """[token] Lookup a token (self): GET /auth/token/lookup-self, which the default policy allows"""
        if request.command != "GET":
            refuse(405, "unsupported operation")
        return 200, wrapped({"policies": ["default", *token["policies"]], "ttl": 3600, "renewable": True}), {}

    def engine(self, request, token, mount, kind, path):
        method = "LIST" if request.command == "GET" and request.query.get("list") == "true" else request.command
        routes = {
            ("GET", "data"): ("read", self.read_data),
            ("GET", "subkeys"): ("read", self.read_subkeys),
            ("GET", "metadata"): ("read", self.read_metadata),
            ("LIST", "metadata"): ("list", self.list_metadata),
        }
        if kind not in ("data", "subkeys", "metadata", "delete", "undelete", "destroy", "config"):
            refuse(404)  # what an engine of version 2 says to the paths of version 1
        if (method, kind) not in routes:
            refuse(405, "unsupported operation")
        capability, function = routes[method, kind]
        # Policies on a folder may name it with a slash at its end or without.
        policy_path = f"{mount}/{kind}/{path}"
        self.demand(token, capability, policy_path)
        return function(request, self.content["mounts"][mount], path)

    def version_of(self, request, secrets, path):
        secret = secrets.get(path)
        if not secret:
            refuse(404)
        try:
            number = int(request.query.get("version", "0"))
        except ValueError:
            refuse(400, 'Field validation failed: error converting input for field "version"')
        number = number or len(secret["versions"])
        if not 1 <= number <= len(secret["versions"]):
            refuse(404)
        version = secret["versions"][number - 1]
        gone = version.get("deleted") or version.get("destroyed")
        metadata = {
            "created_time": f"2026-01-{number:02}T02:24:06.945319214Z",
            "custom_metadata": None,
            "deletion_time": f"2026-02-{number:02}T08:00:00.1Z" if version.get("deleted") else "",
            "destroyed": bool(version.get("destroyed")),
            "version": number,
        }
        return (None if gone else version["data"]), metadata

    def read_data(self, request, secrets, path):
        """[kv] Read secret version: GET /:mount/data/:path?version=; a deleted one is a 404 with metadata"""
        data, metadata = self.version_of(request, secrets, path)
        return 404 if data is None else 200, wrapped({"data": data, "metadata": metadata}), {}

    def read_subkeys(self, request, secrets, path):
        """[kv] Read secret subkeys: GET /:mount/subkeys/:path?version=&depth="""
        data, metadata = self.version_of(request, secrets, path)
        depth = int(request.query.get("depth", "0"))

        def strip(value, level):
            if isinstance(value, dict) and value and (depth == 0 or level < depth):
                return {key: strip(inner, level + 1) for key, inner in value.items()}
            return None

        subkeys = None if data is None else {key: strip(value, 1) for key, value in data.items()}
        return 404 if data is None else 200, wrapped({"subkeys": subkeys, "metadata": metadata}), {}

    def read_metadata(self, request, secrets, path):
        """[kv] Read secret metadata: GET /:mount/metadata/:path"""
        secret = secrets.get(path)
        if not secret:
            refuse(404)
        versions = {}
        for number in range(1, len(secret["versions"]) + 1):
            request.query["version"] = str(number)
            _, metadata = self.version_of(request, secrets, path)
            versions[str(number)] = {key: metadata[key] for key in ("created_time", "deletion_time", "destroyed")}
        data = {"current_version": len(versions), "max_versions": 0, "oldest_version": 0, "versions": versions}
        return 200, wrapped(data), {}

    def list_metadata(self, _request, secrets, path):
        """[kv] List secrets: LIST /:mount/metadata/:path; folders end in a slash, nothing is a 404"""
        prefix = path.strip("/") + "/" if path.strip("/") else ""
        keys = set()
        for name in secrets:
            if name.startswith(prefix):
                first, slash, _ = name[len(prefix) :].partition("/")
                keys.add(first + slash)
        if not keys:
            refuse(404)
        return 200, wrapped({"keys": sorted(keys)}), {}


if __name__ == "__main__":
    main(VaultKv2)
