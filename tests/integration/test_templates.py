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
