#!/usr/bin/python3
"""A server that answers as Infisical's API is documented to, as far as logging in with
universal auth and listing the secrets of a folder go. It is no Infisical. Each route cites
the vendor's page:

[login] https://infisical.com/docs/api-reference/endpoints/universal-auth/login
[v4]    https://infisical.com/docs/api-reference/endpoints/secrets/list
[v3]    https://infisical.com/docs/api-reference/endpoints/deprecated/secrets/list

    {"identities": {"CLIENT-ID": {"secret": "…", "ttl_s": 3600, "uses": 1?, "projects": ["p"],
                                  "may": ["describe", "read"]}},
     "tokens": {"t": {…like an identity…}},
     "projects": {"p": {"production": {"/": {"NAME": "value"}, "/web": {…}}}},
     "imports": {"p/production/": [["shared", "/common"]]},
     "personal": {"p/production/": {"NAME": "mine"}},
     "old": true?        only [v3], as servers before v4
     "imports_name": "include_imports"?   what [v4] calls that parameter in this release}
"""

import time
from secrets import token_urlsafe

from conformance_server import Answer, Service, json_body, main


def refuse(status, error, message):
    raise Answer(status, {"reqId": "req-0", "statusCode": status, "message": message, "error": error})


class Infisical(Service):
    def __init__(self, content):
        super().__init__(content)
        for token in self.content.setdefault("tokens", {}).values():
            token["until"] = time.monotonic() + token.get("ttl_s", 3600)

    def route(self, request):
        if request.url_path == "/api/v1/auth/universal-auth/login":
            return self.login(request)
        if request.url_path == "/api/v4/secrets" and not self.content.get("old"):
            return self.secrets(request, "projectId", self.content.get("imports_name", "includeImports"))
        if request.url_path == "/api/v3/secrets/raw":
            return self.secrets(request, "workspaceId", "include_imports")
        # What the framework under it says of a route nobody has.
        message = f"Route {request.command}:{request.url_path} not found"
        raise Answer(404, {"message": message, "error": "Not Found", "statusCode": 404})

    def login(self, request):
        """[login] POST {"clientId", "clientSecret"} → accessToken, expiresIn, accessTokenMaxTTL, tokenType"""
        if request.command != "POST":
            raise Answer(404, {"message": "Route not found", "error": "Not Found", "statusCode": 404})
        body = json_body(request, lambda why: refuse(422, "ValidationFailure", why))
        identity = self.content["identities"].get(body.get("clientId"))
        if not identity or identity["secret"] != body.get("clientSecret"):
            refuse(401, "UnauthorizedError", "Invalid credentials")
        if "uses" in identity:
            if identity["uses"] == 0:
                refuse(401, "UnauthorizedError", "Access denied due to expired client secret")
            identity["uses"] -= 1
        name = token_urlsafe(24)
        self.content["tokens"][name] = {**identity, "until": time.monotonic() + identity["ttl_s"]}
        answer = {"accessToken": name, "expiresIn": identity["ttl_s"], "accessTokenMaxTTL": 86400, "tokenType": "Bearer"}
        return 200, answer, {}

    def token_of(self, request):
        kind, _, name = (request.headers.get("Authorization") or "").partition(" ")
        if kind != "Bearer" or not name:
            refuse(401, "UnauthorizedError", "Token missing")
        token = self.content["tokens"].get(name)
        if not token:
            refuse(403, "TokenError", "Your token is invalid. Please log in again.")
        if token["until"] <= time.monotonic():
            refuse(401, "TokenError", "Your token has expired. Please re-authenticate.")
        return token

    def secrets(self, request, project_name, imports_name):
        """[v4] [v3] GET; flags are "true" or "false", and their defaults differ"""
        if request.command != "GET":
            raise Answer(404, {"message": "Route not found", "error": "Not Found", "statusCode": 404})
        token = self.token_of(request)
        query = request.query
        for name, value in query.items():
            if name in ("recursive", "viewSecretValue", "expandSecretReferences", "includePersonalOverrides") and (
                value not in ("true", "false")
            ):
                refuse(422, "ValidationFailure", f"{name} must be true or false")
        project, environment = query.get(project_name), query.get("environment")
        if not project or not environment:
            refuse(400, "BadRequest", "Missing project id or environment")
        if project not in self.content["projects"]:
            refuse(404, "NotFound", f"Project with ID '{project}' not found")
        if project not in token["projects"] or "describe" not in token["may"]:
            refuse(403, "PermissionDenied", "You are not allowed to list secrets")
        wanted = query.get("viewSecretValue", "true") == "true"
        folders = self.content["projects"][project].get(environment)
        path = "/" + query.get("secretPath", "/").strip("/")
        if folders is None or path not in folders:
            refuse(404, "NotFound", f"Folder with path '{path}' in environment '{environment}' was not found")
        show = wanted and "read" in token["may"]
        shown = [path]
        if query.get("recursive") == "true":
            shown += [folder for folder in folders if folder != path and folder.startswith(path.rstrip("/") + "/")]
        rows = [
            self.row(project, environment, folder, name, value, show)
            for folder in shown
            for name, value in folders[folder].items()
        ]
        place = f"{project}/{environment}{path}"
        # In [v4] personal overrides are included unless one says otherwise.
        if project_name == "projectId" and query.get("includePersonalOverrides", "true") == "true":
            for name, value in self.content.get("personal", {}).get(place, {}).items():
                rows = [row for row in rows if row["secretKey"] != name]
                rows.append({**self.row(project, environment, path, name, value, show), "type": "personal"})
        imports = []
        default = "true" if project_name == "projectId" else "false"
        if query.get(imports_name, default) == "true":
            for from_environment, from_path in self.content.get("imports", {}).get(place, []):
                source = self.content["projects"][project][from_environment][from_path]
                imports.append(
                    {
                        "secretPath": from_path,
                        "environment": from_environment,
                        "folderId": "folder",
                        "secrets": [
                            self.row(project, from_environment, from_path, name, value, show)
                            for name, value in source.items()
                        ],
                    }
                )
        return 200, {"secrets": rows, "imports": imports}, {"ETag": 'W/"1"'}

    def row(self, project, environment, folder, name, value, show):
        return {
            "id": f"id-{name}",
            "_id": f"id-{name}",
            "workspace": project,
            "environment": environment,
            "version": 3,
            "type": "shared",
            "secretKey": name,
            "secretValue": value if show else "<hidden-by-infisical>",
            "secretValueHidden": not show,
            "secretComment": "",
            "secretPath": folder,
            "createdAt": "2026-01-01T00:00:00.000Z",
            "updatedAt": "2026-01-03T02:24:06.945Z",
            "isRotatedSecret": False,
            "tags": [],
        }


if __name__ == "__main__":
    main(Infisical)
