"""`extends`: templates are merged before anything is decided, each value knows where
it was written, and a changed template says what it alters before it does."""

import subprocess

import pytest

HEAD = "version: 1\nproject: shop\n"
ENVIRONMENTS = """\
environments:
  dev: { servers: [deploy@dev.example.org] }
  production: { servers: [deploy@www.example.org], keep: 9 }
"""


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_yml", ".yml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def git(folder, *args):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit_all(folder, message="a change"):
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.mark.san
def test_show_prints_the_merged_file_with_origins(lockstep):
    write(
        lockstep.folder,
        lockstep_yml=HEAD + "extends: [lockstep:node, ./deploy/common.yml]\ndeploy: { path: srv/shop }\n" + ENVIRONMENTS,
        deploy__common_yml="# ours\ndeploy:\n  keep: 7\n  hooks: { after_live: { append: [echo done] } }\n",
    )
    lines = [" ".join(line.split()) for line in lockstep.ok("config", "show").out.splitlines()]
    assert "- npm ci # lockstep:node:6" in lines
    assert "keep: 7 # deploy/common.yml:3" in lines
    assert "- echo done # deploy/common.yml:4" in lines
    assert "path: srv/shop # lockstep.yml:4" in lines
    assert lines[0] == "version: 1 # lockstep.yml:1"

    resolved = lockstep.ok("config", "show", "--resolved", "production").out
    lines = [" ".join(line.split()) for line in resolved.splitlines()]
    assert "keep: 9 # lockstep.yml:7" in lines and "link: auto # default" in lines
    assert "dev:" not in lines and "deploy:" not in lines

    shown = lockstep.ok("config", "show", "--json").json
    assert shown["config"]["deploy"]["keep"] == {"value": 7, "origin": "deploy/common.yml:3", "column": 9}
    assert [row["template"] for row in shown["templates"]] == ["lockstep:node", "deploy/common.yml"]


@pytest.mark.san
def test_what_show_prints_is_the_same_file_without_templates(lockstep):
    write(
        lockstep.folder,
        lockstep_yml=HEAD + "extends: [lockstep:laravel, lockstep:compose]\ndeploy: { path: srv/shop }\n" + ENVIRONMENTS,
    )
    before = lockstep.ok("config", "show", "--json").json["config"]
    text = lockstep.ok("config", "show").out
    write(lockstep.folder, lockstep_yml="\n".join(line for line in text.splitlines() if "lockstep:" not in line.split("#")[0] and "extends" not in line))
    after = lockstep.ok("config", "show", "--json").json["config"]

    def values(node):
        if isinstance(node, list):
            return [values(item) for item in node]
        return node["value"] if "value" in node else {key: values(item) for key, item in node.items()}

    del before["extends"]
    assert values(after) == values(before)


@pytest.mark.san
def test_a_mistake_in_a_template_is_told_with_the_way_to_it(lockstep):
    write(
        lockstep.folder,
        lockstep_yml=HEAD + "extends: [./deploy/common.yml]\n" + ENVIRONMENTS,
        deploy__common_yml="deploy:\n  path: srv/shop\n  keeep: 7\n",
    )
    result = lockstep("config", "validate")
    assert result.code == 1
    assert "deploy/common.yml:3:3: unknown key `keeep`" in result.err
    assert "named at lockstep.yml:3:11" in result.err


def test_a_template_of_another_repository_is_fetched_once(lockstep, work):
    templates = work / "templates"
    templates.mkdir()
    git(templates, "init", "-q")
    write(templates, php__base_yml="deploy: { path: srv/base, keep: 3 }\n", php__web_yml="extends: base.yml\ndeploy: { keep: 4 }\n")
    first = commit_all(templates)
    write(templates, php__web_yml="extends: base.yml\ndeploy: { keep: 8 }\n")
    commit_all(templates)
    url = str(templates)
    write(lockstep.folder, lockstep_yml=HEAD + f"extends: 'git+{url}//php/web.yml@{first}'\n" + ENVIRONMENTS)
    shown = lockstep.ok("config", "show", "--json").json
    assert shown["config"]["deploy"]["keep"]["value"] == 4
    assert shown["config"]["deploy"]["path"]["origin"] == f"git+{url}//php/base.yml@{first[:12]}:1"
    assert [row["template"] for row in shown["templates"]][1] == f"git+{url}//php/web.yml@{first}"

    missing = lockstep.folder.parent / "nothing"
    write(lockstep.folder, lockstep_yml=HEAD + f"extends: 'git+{missing}//a.yml@{first}'\n" + ENVIRONMENTS)
    result = lockstep("config", "validate")
    assert result.code == 1 and "lockstep.yml:3:10" in result.err
    write(lockstep.folder, lockstep_yml=HEAD + f"extends: 'git+{url}//php/web.yml@{'0' * 40}'\n" + ENVIRONMENTS)
    result = lockstep("config", "validate")
    assert result.code == 1 and "cannot be read" in result.err
    write(lockstep.folder, lockstep_yml=HEAD + f"extends: 'git+{url}//php/web.yml@main'\n" + ENVIRONMENTS)
    assert "must end with @ and a full commit" in lockstep("config", "validate").err


# --- delivered -----------------------------------------------------------------------


def shop_with_template(shop, common):
    """The lockstep.yml at hand extends a file beside it; nothing is built."""
    shop.environment("staging", "web1", path="srv/staging").environment("production", "web1", path="srv/production")
    shop.config["extends"] = ["lockstep:static", "./deploy/common.yml"]
    del shop.config["deploy"]["path"]
    shop.save()
    write(shop.folder, deploy__common_yml=common)
    return shop


def test_a_changed_template_says_what_it_alters_before_it_does(shop):
    shop_with_template(shop, "deploy: { keep: 5 }\n")
    assert "template  " not in shop.run.ok("plan", "staging").out, "nothing was delivered yet"
    shop.run.ok("deploy", "staging")
    shop.run.ok("deploy", "production")
    digest = shop.run.ok("plan", "staging", "--json").json["delivery"]
    assert shop.run.ok("plan", "staging", "--json").json["templates"] == []
    assert "unchanged" in shop.run.ok("config", "impact", "./deploy/common.yml").out

    write(shop.folder, deploy__common_yml="deploy: { keep: 7, generated: [cache] }\n")
    plan = shop.run.ok("plan", "staging")
    line = (
        "template  deploy/common.yml changed since the last deployment: "
        "alters production (generated nothing -> [cache], keep 5 -> 7), staging (generated nothing -> [cache], keep 5 -> 7)"
    )
    assert line in plan.out, str(plan)
    result = shop.run.ok("plan", "staging", "--json").json
    assert result["delivery"] != digest
    assert result["templates"][0]["template"] == "deploy/common.yml"
    assert result["templates"][0]["alters"][0] == {
        "environment": "production",
        "keys": [{"key": "generated", "from": None, "to": "[cache]"}, {"key": "keep", "from": "5", "to": "7"}],
    }
    impact = shop.run.ok("config", "impact", "./deploy/common.yml", "--json").json
    assert [(use["environment"], use["change"]) for use in impact["uses"]] == [("production", "changed"), ("staging", "changed")]
    assert impact["uses"][0]["keys"][1] == {"key": "keep", "from": "5", "to": "7"}
    text = shop.run.ok("config", "impact", "deploy/common.yml").out
    assert "keep 5 -> 7" in text and "shop" in text

    shop.repo.write("more.txt", "more")
    shop.repo.commit("more")
    assert "template deploy/common.yml changed" in shop.run.ok("deploy", "staging").err
    left = shop.run.ok("plan", "staging", "--json").json["templates"][0]["alters"]
    assert [row["environment"] for row in left] == ["production"]

    (shop.folder / "lockstep.yml").rename(shop.folder / "gone.yml")
    uses = shop.run.ok("config", "impact", "lockstep:static", "--json").json["uses"]
    assert len(uses) == 2 and all("lockstep.yml" in use["not_checked"] for use in uses)
    assert "not checked" in shop.run.ok("config", "impact", "lockstep:static").out
    assert "nothing that was deployed" in shop.run.ok("config", "impact", "lockstep:rails").out


def test_another_commit_of_a_template_can_be_tried(shop, work):
    templates = work / "templates"
    templates.mkdir()
    git(templates, "init", "-q")
    write(templates, web_yml="deploy: { keep: 3 }\n")
    first = commit_all(templates)
    write(templates, web_yml="deploy: { keep: 8 }\n")
    second = commit_all(templates)
    shop.config["extends"] = f"git+{templates}//web.yml@{first}"
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    same = shop.run.ok("config", "impact", f"git+{templates}//web.yml", "--json").json["uses"]
    assert [(use["change"], use["keys"]) for use in same] == [("same", [])]
    other = shop.run.ok("config", "impact", f"git+{templates}//web.yml@{second}", "--json").json["uses"]
    assert other[0]["keys"] == [{"key": "keep", "from": "3", "to": "8"}]
    shop.config["extends"] = f"git+{templates}//web.yml@{second}"
    shop.save()
    assert f"template  git+{templates}//web.yml changed" in shop.run.ok("plan", "dev").out


def test_a_build_uses_the_templates_of_its_own_commit(shop):
    shop.environment("dev", "web1")
    lockstep_yml = (shop.folder / "lockstep.yml").read_text()
    shop.repo.write("lockstep.yml", lockstep_yml.replace("version: 1", "version: 1\nextends: ci/build.yml", 1)
                    if "version: 1" in lockstep_yml else lockstep_yml.replace('"version": 1', '"version": 1, "extends": "ci/build.yml"', 1))
    shop.repo.write("ci/build.yml", "build: [echo of the commit > built.txt]\n")
    shop.repo.commit("a template")
    write(shop.folder, ci__build_yml="build: [echo of the folder > built.txt]\n")
    shop.run.ok("deploy", "dev")
    assert (shop.sshd["web1"].place() / "current" / "built.txt").read_text() == "of the commit\n"


# What each template runs, recorded instead of done: the programs need not be there.
SHIM = '#!/bin/sh\necho "$(basename "$0") $*" >>"${LOCKSTEP_PLACE:-.}/ran.txt"\n'
KINDS = {
    "static": (["index.html"], [], []),
    "node": (["package.json"], ["npm ci", "npm run build --if-present", "npm prune --omit=dev"], []),
    "php": (["composer.json"], ["composer install --no-dev --no-interaction --no-progress --optimize-autoloader"], []),
    "laravel": (
        ["composer.json", "package-lock.json", "artisan"],
        ["composer install", "npm ci", "npm run build --if-present"],
        ["php artisan config:cache", "php artisan route:cache", "php artisan event:cache", "php artisan queue:restart"],
    ),
    "rails": (["Gemfile"], ["bundle install", "bundle exec rails assets:precompile"], []),
    "django": (["requirements.txt", "manage.py"], ["python3 -m pip install", "python3 -m compileall"], ["python3 manage.py collectstatic --noinput"]),
    "compose": (
        ["compose.yaml"],
        [],
        ["docker compose -p shop-dev pull --quiet", "docker compose -p shop-dev build", "docker compose -p shop-dev up --detach --wait"],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_built_in_template_deploys_a_project_in_a_few_lines(shop, kind):
    files, built, ran = KINDS[kind]
    for name in files:
        shop.repo.write(name, "{}\n")
    for name in ("npm", "node", "composer", "php", "bundle", "python3", "docker"):
        shop.repo.write(f"bin/{name}", SHIM, 0o755)
    shop.environment("dev", "web1")
    server = shop.sshd["web1"]
    server.stop()
    server.force = f'PATH={shop.repo.dir}/bin:$PATH; export PATH; {server.force}'
    server.start()
    shop.config = {
        "version": 1,
        "project": "shop",
        "source": str(shop.repo.dir),
        "extends": [f"lockstep:{kind}"],
        "build": {"env": {"PATH": "./bin:/usr/bin:/bin"}},
        "deploy": {"path": "srv/shop"},
        "environments": shop.config["environments"],
    }
    shop.save()
    shop.repo.commit(f"a {kind} project")
    place = shop.sshd["web1"].place()
    for shared in {"laravel": [".env"], "rails": ["config/master.key"]}.get(kind, []):
        (place / "shared" / shared).parent.mkdir(parents=True, exist_ok=True)
        (place / "shared" / shared).write_text("")
    result = shop.run.ok("deploy", "dev")
    assert "live and verified" in result.out, str(result)
    current = place / "current"
    lines = (current / "ran.txt").read_text() if built else ""
    assert [line for line in built if line not in lines] == []
    lines = (place / "ran.txt").read_text() if (place / "ran.txt").exists() else ""
    assert [line for line in ran if line not in lines] == []
    if kind == "laravel":
        assert (current / "public/storage").resolve() == (place / "shared/storage/app/public").resolve()
    assert "by hand" not in shop.run.ok("status").out
    assert shop.run.ok("deploy", "dev", "--json").json["outcome"] == "unchanged"
