#!/usr/bin/python3
"""A server that answers as Doppler's API is documented to, as far as reading the secrets
of a config goes. It is no Doppler. Each route cites the vendor's page:

[names]    https://docs.doppler.com/reference/secrets-names
[download] https://docs.doppler.com/reference/secrets-download
[list]     https://docs.doppler.com/reference/secrets-list
[api]      https://docs.doppler.com/reference/api   (authentication, errors, rate limits)

    {"tokens": {"dp.st.prd.x": {"project": "shop", "config": "prd", "revoked": true?}},
     "configs": {"shop/prd": {"NAME": "value"}},
     "dynamic": {"shop/prd": ["LEASED"]}}
"""

import hashlib
import json

from conformance_server import Answer, Service, main

MANAGED = ("DOPPLER_PROJECT", "DOPPLER_ENVIRONMENT", "DOPPLER_CONFIG")


def refuse(status, message):
    """[api] errors: {"messages": […], "success": false}"""
    raise Answer(status, {"messages": [message], "success": False})


def flag(request, name, default):
    value = request.query.get(name, default)
    if value not in ("true", "false"):
        refuse(400, f"{name} must be a boolean")
    return value == "true"


class Doppler(Service):
    leases = 0

    def route(self, request):
        token = self.token_of(request)
        routes = {
            "/v3/configs/config/secrets/names": self.names,
            "/v3/configs/config/secrets/download": self.download,
            "/v3/configs/config/secrets": self.list,
        }
        if request.url_path not in routes:
            refuse(404, "Could not find requested endpoint")
        if request.command != "GET":
            refuse(405, "Method not allowed")
        place = self.place_of(request, token)
        secrets = dict(self.content["configs"][place])
        project, config = place.split("/")
        secrets.update(DOPPLER_PROJECT=project, DOPPLER_ENVIRONMENT=config, DOPPLER_CONFIG=config)
        return routes[request.url_path](request, place, secrets)

    def token_of(self, request):
        """[api] Authorization: Bearer, or Basic with the token as user name (not taught here)"""
        kind, _, name = (request.headers.get("Authorization") or "").partition(" ")
        if kind != "Bearer" or not name:
            refuse(401, "You must provide a token")
        token = self.content["tokens"].get(name)
        if not token or token.get("revoked"):
            refuse(401, "Invalid Auth token")
        return token

    def place_of(self, request, token):
        # "Not required if using a Service Token", which is bound to one config.
        project = request.query.get("project", token["project"])
        config = request.query.get("config", token["config"])
        place = f"{project}/{config}"
        if place not in self.content["configs"]:
            refuse(404, f"Could not find requested config '{config}'")
        if (project, config) != (token["project"], token["config"]):
            refuse(403, "This token does not have access to requested config")
        return place

    def dynamic(self, request, place, default):
        """A read that includes dynamic secrets issues leases."""
        if not flag(request, "include_dynamic_secrets", default):
            return []
        names = self.content.get("dynamic", {}).get(place, [])
        Doppler.leases += len(names)
        return names

    def names(self, request, place, secrets):
        """[names] GET /v3/configs/config/secrets/names"""
        names = sorted(secrets)
        if not flag(request, "include_managed_secrets", "true"):
            names = [name for name in names if name not in MANAGED]
        return 200, {"names": names + list(self.dynamic(request, place, "false")), "success": True}, {}

    def download(self, request, place, secrets):
        """[download] GET /v3/configs/config/secrets/download, with an ETag"""
        if request.query.get("format", "json") != "json":
            refuse(400, "this server only knows the format json")
        for name in self.dynamic(request, place, "false"):
            secrets[name] = "a leased value"
        etag = '"' + hashlib.sha256(json.dumps(secrets).encode()).hexdigest() + '"'
        if request.headers.get("If-None-Match") == etag:
            return 304, None, {"ETag": etag}
        return 200, secrets, {"ETag": etag}

    def list(self, _request, _place, secrets):
        """[list] GET /v3/configs/config/secrets"""
        rows = {
            name: {"raw": value, "computed": value, "note": "", "rawVisibility": "masked"}
            for name, value in secrets.items()
        }
        return 200, {"secrets": rows, "success": True}, {}


if __name__ == "__main__":
    main(Doppler)
