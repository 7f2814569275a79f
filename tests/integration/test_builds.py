"""Built once, and what a release holds."""

import os
import shutil
import subprocess

import pytest
from conftest import ROOT

from testbed.machines import system_forbids_machines

COUNTING = "echo built >> {log}; date +%N%s > built-at.txt"


@pytest.fixture
def built(shop, work):
    """A shop whose build leaves a line in a file outside for each time it ran, and a
    result that differs each time."""
    shop.log = work / "builds.log"
    shop.config["build"] = {"run": [COUNTING.format(log=shop.log)], "sandbox": "none"}
    return shop


def count(shop):
    return len(shop.log.read_text().splitlines()) if shop.log.exists() else 0


def test_the_same_tree_is_built_once(built):
    built.environment("dev", "web1").environment("test", "web2")
    built.run.ok("deploy", "dev")
    built.run.ok("deploy", "test")
    built.run.ok("build", "main")
    assert count(built) == 1
    assert built.place("web1").digest() == built.place("web2").digest()


def test_two_processes_at_the_same_moment_build_once(built):
    built.config["build"]["run"].insert(0, "sleep 1")
    built.environment("dev", "web1").environment("test", "web2")
    processes = [built.run.start("deploy", name) for name in ("dev", "test")]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
    assert count(built) == 1
    assert built.place("web1").digest() == built.place("web2").digest()


def test_a_failed_build_leaves_nothing_and_its_output_is_shown(shop):
    shop.config["build"] = {"run": ["echo some output", "echo it broke >&2; exit 4"]}
    shop.environment("dev", "web1")
    result = shop.run("deploy", "dev")
    assert result.code in (1, 8), str(result)
    assert "it broke" in result.text
    assert shop.place().current is None
    assert len(shop.run.ok("releases").out.splitlines()) <= 1


@pytest.mark.san
def test_the_sandbox_sees_neither_state_nor_home(shop):
    secret = shop.run.person / "secret.txt"
    secret.write_text("secret")
    shop.config["build"] = {
        "run": [
            f"if cat {secret}; then exit 9; fi",
            f"if ls {shop.run.home}/state.db; then exit 9; fi",
            'test -z "$SSH_AUTH_SOCK"',
            "echo fine > fine.txt",
        ]
    }
    shop.run.env["SSH_AUTH_SOCK"] = "/tmp/agent.sock"
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    assert shop.place().tree()[b"fine.txt"][2] == b"fine\n"


def test_attributes_and_ignores_shape_the_release(shop):
    shop.repo.write(".gitattributes", "docs export-ignore\n").write("docs/manual.md", "manual\n")
    shop.repo.write(".deployignore", "design/*.psd\n").write("design/logo.psd", "big\n").write("design/logo.svg", "<svg/>")
    shop.repo.commit("Things that stay at home")
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    tree = shop.place().tree()
    assert b"docs/manual.md" not in tree
    assert b"design/logo.psd" not in tree
    assert b"design/logo.svg" in tree


def test_a_submodule_is_part_of_the_release(shop, work):
    from testbed.apprepo import AppRepo

    library = AppRepo(work / "library")
    library.write("lib.php", "<?php // library\n").commit("Library")
    shop.repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.dir), "vendor/library")
    shop.repo.commit("Use the library")
    # git refuses file:// submodules unless the user allows them.
    (shop.run.person / ".gitconfig").write_text("[protocol \"file\"]\n\tallow = always\n")
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    assert shop.place().tree()[b"vendor/library/lib.php"][2] == b"<?php // library\n"


def test_a_damaged_store_is_found_and_named(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    shop.run.ok("store", "verify")
    objects = [path for path in (shop.run.home / "store").rglob("*") if path.is_file() and path.stat().st_size > 50]
    assert objects
    victim = max(objects, key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.chmod(0o600)
    victim.write_bytes(data)
    result = shop.run("store", "verify")
    assert result.code != 0
    assert victim.name[:12] in result.text, str(result)


def test_gc_keeps_what_an_environment_runs_or_could_go_back_to(shop):
    shop.environment("dev", "web1")
    for ref in ("v1.0", "v1.1"):
        shop.run.ok("deploy", "dev", "--ref", ref)
    shop.run.ok("build", shop.repo.git("rev-parse", "legacy~1"))
    shop.run.ok("store", "gc")
    shop.run.ok("store", "verify")
    shop.run.ok("rollback", "dev")
    assert shop.place().tree() == shop.repo.tree("v1.0")


def releases_of(program):
    return {row["release"] for row in program.ok("releases", "--json").json["releases"]}


def manifests(program):
    return {path.name for path in (program.home / "store" / "manifests").iterdir()}


def test_gc_asks_the_servers_what_they_run_and_keep(shop):
    """What another laptop put on the servers is nothing this one remembers."""
    shop.environment("dev", "web1").environment("test", "web2")
    shop.repo.write("third.txt", "third").commit("Nobody deploys this")
    mine = [shop.run.ok("build", ref, "--json").json["release"] for ref in ("v1.0", "v1.1", "main")]
    other = shop.another_laptop()
    for ref in ("v1.0", "v1.1"):
        other.ok("deploy", "dev", "--ref", ref)
    before = shop.place().snapshot()
    would = shop.run.ok("store", "gc", "--older-than", "0s", "--dry-run", "--json").json
    assert (would["asked"], would["not_asked"], would["manifests_removed"]) == (2, [], 1)
    assert manifests(shop.run) == set(mine), "only counted"
    shop.run.ok("store", "gc", "--older-than", "0s")
    assert manifests(shop.run) == set(mine[:2]), "live, and kept to go back to"
    assert shop.place().snapshot() == before


def test_gc_names_who_was_not_asked_and_keeps_what_it_knows_of_them(shop):
    shop.environment("dev", "web1").environment("test", "web2")
    shop.run.ok("deploy", "dev", "--ref", "v1.0")
    shop.run.ok("build", "v1.1")
    live = shop.run.ok("status", "dev", "--json").json["environments"][0]["release"]
    shop.sshd["web1"].stop()
    result = shop.run.ok("store", "gc", "--older-than", "0s")
    assert "web1 of dev was not asked" in result.out and "1 release" in result.out, str(result)
    assert manifests(shop.run) == {live}


def test_a_release_that_is_lost_is_fetched_back_and_else_built_again(built):
    """Kept nowhere any more, the build runs again, gives other bytes, and says so. Where somebody may have it
    who cannot be asked, nothing is built."""
    built.environment("dev", "web1").run.ok("deploy", "dev")
    first = releases_of(built.run)
    forget = [path for path in (built.run.home / "store" / "manifests").iterdir()]
    for path in forget:
        path.unlink()
    built.run.ok("build", "main")
    assert (count(built), releases_of(built.run)) == (1, first), "web1 has it"
    for path in forget:
        path.unlink()
    built.sshd["web1"].stop()
    result = built.run("build", "main")
    assert result.code == 6 and "web1 of dev was not asked" in result.err and "take it out of" in result.err, str(result)
    assert count(built) == 1 and releases_of(built.run) == first
    built.environment("dev", "web2")
    result = built.run.ok("build", "main")
    assert "survives nowhere any more; it was built again" in result.err, str(result)
    assert count(built) == 2
    assert len(releases_of(built.run)) == 2
    again = built.run.ok("build", "main", "--json").json["release"]
    assert again not in first, "the second took the place of the first"


def test_another_laptop_builds_nothing_that_a_server_has(built):
    built.environment("dev", "web1").environment("production", "web2", promote_from="dev")
    built.run.ok("deploy", "dev")
    other = built.another_laptop()
    assert other.ok("build", "main", "--json").json["release"] in releases_of(built.run)
    # production has it not; the environment before it does.
    third = built.another_laptop("third")
    third.ok("deploy", "production", "--ref", "main")
    assert count(built) == 1
    assert built.place("web2").digest() == built.place("web1").digest()


@pytest.fixture(scope="session")
def container_image(tmp_path_factory):
    """Variables that name an image podman can run (./dev test has made one)."""
    names = ("LOCKSTEP_TEST_IMAGE", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF")
    if all(name in os.environ for name in names):
        return {name: os.environ[name] for name in names}
    made = subprocess.run([ROOT / "tools/testbed/container-image", tmp_path_factory.mktemp("containers")],
                          capture_output=True, text=True)
    if made.returncode != 0:
        missing = [name for name in ("podman", "conmon", "runc", "busybox") if not shutil.which(name)]
        if os.environ.get("CI") and (missing or system_forbids_machines() is None):
            pytest.fail(made.stderr.strip())
        pytest.skip(made.stderr.strip())
    return dict(line.split("=", 1) for line in made.stdout.splitlines())


def test_a_release_is_built_in_the_image_that_is_named(shop, container_image):
    image = container_image["LOCKSTEP_TEST_IMAGE"]
    shop.run.env |= container_image
    shop.config["build"] = {"image": image, "network": False,
                            "run": ["ls / > root.txt", "date > made.txt; mkdir -p public; echo 1 > public/app.js"]}
    shop.environment("dev", "web1").environment("test", "web2")
    shop.run.ok("deploy", "dev")
    live = shop.place("web1").live_dir
    assert "etc" in (live / "root.txt").read_text().split()
    assert "usr" not in (live / "root.txt").read_text().split(), "it is not this machine's root"
    assert (live / "public/app.js").stat().st_uid == os.getuid()
    shop.run.ok("deploy", "test")
    assert shop.place("web2").tree() == shop.place("web1").tree(), "built once"
    release = shop.run.ok("releases", "--json").json["releases"][0]
    assert release["platform"].startswith("image sha256:"), release


def test_a_build_that_fails_in_its_image_says_so_and_leaves_no_container(shop, container_image):
    shop.run.env |= container_image
    shop.config["build"] = {"image": container_image["LOCKSTEP_TEST_IMAGE"], "network": False,
                            "run": ["echo it broke >&2; exit 4"]}
    shop.environment("dev", "web1")
    result = shop.run("deploy", "dev")
    assert result.code in (1, 8) and "it broke" in result.text and "exit status 4" in result.err, str(result)
    # Those of other tests, which share this storage, run other commands.
    left = subprocess.run(["podman", "ps", "-a", "--no-trunc", "--format={{.Command}}"],
                          env=os.environ | container_image, capture_output=True, text=True, check=True)
    assert "it broke" not in left.stdout


def test_an_image_that_cannot_be_had_is_named(shop, container_image):
    shop.run.env |= container_image
    shop.config["build"] = {"image": "localhost/there-is-none:7", "run": ["true"]}
    shop.environment("dev", "web1")
    result = shop.run("deploy", "dev")
    assert result.code in (1, 4, 5), str(result)
    assert "cannot pull the image localhost/there-is-none:7" in result.err and "no server was" not in result.out
    assert shop.place().current is None
