"""One server: deployments, hand edits, rollbacks. What is checked is what a person
would see on the server."""

import os
import re
import shutil
import stat
import subprocess
import time

import pytest
from testbed.place import read_tree

pytestmark = []


@pytest.mark.san
def test_a_first_deployment_shows_exactly_the_commit(shop):
    shop.environment("dev", "web1")
    shop.run.ok("deploy", "dev")
    place = shop.place()
    assert place.tree() == shop.repo.tree()
    assert re.fullmatch(r"releases/000001-[0-9a-f]{12}", place.current)
    assert stat.S_IMODE((place.path / ".lockstep").stat().st_mode) == 0o700
    assert stat.S_IMODE(place.live_dir.stat().st_mode) == 0o755
    assert b"verified" in place.journal or b"live" in place.journal


def test_files_carry_the_time_of_the_commit(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    written = int(shop.repo.git("log", "-1", "--format=%ct"))
    assert (shop.place().live_dir / "README.md").stat().st_mtime == written


@pytest.mark.san
def test_an_incremental_deployment_takes_unchanged_files_from_the_server(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    first = shop.place().live_dir
    shop.repo.write("public/style.css", "body { color: teal }\n").remove("public/robots.txt")
    shop.repo.write("app/New.php", "<?php\n").commit("Change, remove and add a file")
    shop.run.ok("deploy", "dev")
    place = shop.place()
    assert place.tree() == shop.repo.tree()
    assert place.live_dir != first
    assert (place.live_dir / "app/Shop.php").stat().st_ino == (first / "app/Shop.php").stat().st_ino
    assert read_tree(first)[b"public/style.css"][2] != place.tree()[b"public/style.css"][2]
    assert place.activations == sorted([first.name, place.live])


def test_with_link_copy_nothing_is_shared_between_activations(shop):
    shop.config["deploy"]["link"] = "copy"
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    first = shop.place().live_dir
    shop.repo.write("new.txt", "new").commit("Add a file")
    shop.run.ok("deploy", "dev")
    place = shop.place()
    assert place.tree() == shop.repo.tree()
    assert (place.live_dir / "app/Shop.php").stat().st_ino != (first / "app/Shop.php").stat().st_ino


@pytest.mark.san
def test_an_older_activation_that_cannot_be_read_is_passed_over(shop):
    """Content is looked for in it, behind the live one; what was seen of that one stays in use."""
    shop.environment("dev", "web1")
    for number in range(3):
        shop.repo.write("app/Shop.php", f"<?php // {number}\n").commit(f"Change {number}")
        if number == 2:
            (shop.place().path / ".lockstep/manifests" / shop.place().activations[0]).unlink()
        shop.run.ok("deploy", "dev")
    assert shop.place().tree() == shop.repo.tree()


@pytest.mark.san
def test_nothing_new_changes_nothing(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    place = shop.place()
    before = place.snapshot()
    result = shop.run.ok("deploy", "dev")
    after = place.snapshot()
    for path in set(before) | set(after):
        if not path.startswith(b".lockstep/"):
            assert before.get(path) == after.get(path), path
    assert place.activations == [place.live]
    assert "unchanged" in result.text or "already" in result.text or "nothing" in result.text.lower(), str(result)


def test_an_equal_tree_from_another_commit_is_the_same_release(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    live = shop.place().live
    shop.repo.commit("An empty commit")
    shop.run.ok("deploy", "dev")
    assert shop.place().live == live


@pytest.mark.san
def test_names_and_contents_of_any_kind_arrive(shop):
    repo = shop.repo
    for name in (
        b"with space", b" leading", b"trailing ", b"line\nbreak", b"tab\there", "ünïcödé/文件".encode(), b"not-utf8-\xff\xfe",
        b"-rf", b"--option=x", b"*", b"?[a]", b"back\\slash", b'"quotes\'', b"$(touch x)", b"`id`", b"\x01\x7f\x1b[31m",
        b"n" * 255, b"deep/" * 60 + b"file", b".hidden", b"#hash", b"~tilde", b"current", b"releases/x",
        b"a:b", b"CON",
    ):
        repo.write(name, b"content of " + name)
    repo.write("empty", b"").write("zeros", bytes(70_000)).write("random", os.urandom(300_000))
    repo.write("one-byte", b"\n").write("run.sh", "#!/bin/sh\n", 0o755)
    repo.link("to-file", "README.md").link("to-folder", "app").link("dangling", "app/none").link("deep/up", "../README.md")
    repo.link(b"link\n\xff", b"not-utf8-\xff\xfe")
    repo.commit("Odd names")
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    assert shop.place().tree() == repo.tree()


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd", "../app/../../x"])
def test_a_link_that_points_outside_is_refused_by_name(shop, target):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    before = shop.place().snapshot()
    shop.repo.link("public/escape", target).commit("Escape")
    result = shop.run("deploy", "dev")
    assert result.code in (1, 8), str(result)
    assert "public/escape" in result.err
    assert shop.place().snapshot() == before


def test_a_name_that_is_ours_is_refused(shop):
    shop.environment("dev", "web1")
    shop.repo.write(".lockstep", "mine").commit("Take a reserved name")
    result = shop.run("deploy", "dev")
    assert result.code == 1 and ".lockstep" in result.err, str(result)
    assert shop.place().current is None


@pytest.mark.san
def test_a_dry_run_changes_nothing_and_says_what_it_would_do(shop):
    shop.environment("dev", "web1")
    result = shop.run.ok("deploy", "dev", "--dry-run")
    assert shop.place().current is None
    assert not shop.place().path.exists()
    assert "web1" in result.text
    shop.run.ok("deploy", "dev")
    before = shop.place().snapshot()
    shop.repo.write("public/style.css", "x\n").commit("Restyle")
    result = shop.run.ok("deploy", "dev", "--dry-run")
    assert "Restyle" in result.text or "public/style.css" in result.text
    assert shop.place().snapshot() == before


def test_plan_names_commits_and_changed_files(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev", "--ref", "v1.0")
    result = shop.run.ok("plan", "dev", "--ref", "main")
    assert "Say welcome differently" in result.out
    assert "app/Shop.php" in result.out or "changed" in result.out


def test_a_ref_may_be_branch_tag_or_commit(shop):
    shop.environment("dev", "web1")
    for ref in ("legacy", "v1.1", shop.repo.git("rev-parse", "main~1")):
        shop.run.ok("deploy", "dev", "--ref", ref)
        assert shop.place().tree() == shop.repo.tree(ref)
    result = shop.run("deploy", "dev", "--ref", "nonsense")
    assert result.code == 5
    assert "nonsense" in result.err


def test_a_moved_tag_is_refused(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev", "--ref", "v1.0")
    live = shop.place().live
    shop.repo.git("tag", "-f", "v1.0", "main")
    result = shop.run("deploy", "dev", "--ref", "v1.0")
    assert result.code not in (0, 2), str(result)
    assert "v1.0" in result.err
    assert shop.place().live == live


def test_shared_folders_and_files_outlive_releases(shop):
    shop.config["deploy"] |= {"shared_dirs": ["storage", "var/log"], "shared_files": [".env"]}
    shop.environment("dev", "web1")
    place = shop.place()
    (place.path / "shared").mkdir(parents=True)
    (place.path / "shared" / ".env").write_text("A=1\n")
    shop.run.ok("deploy", "dev")
    assert (place.live_dir / ".env").resolve() == place.path / "shared" / ".env"
    assert (place.live_dir / "storage").resolve() == place.path / "shared" / "storage"
    (place.live_dir / "storage" / "upload.jpg").write_text("picture")
    (place.live_dir / "var" / "log" / "app.log").write_text("line\n")
    shop.repo.write("new.txt", "new").commit("Another")
    shop.run.ok("deploy", "dev")
    assert (place.live_dir / "storage" / "upload.jpg").read_text() == "picture"
    assert (place.live_dir / "var" / "log" / "app.log").read_text() == "line\n"
    assert (place.live_dir / ".env").read_text() == "A=1\n"
    shop.run.ok("rollback", "dev")
    assert (place.live_dir / "storage" / "upload.jpg").read_text() == "picture"


def replace(path, text):
    """As an editor saves: a new file in place of the old one."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.rename(new, path)


@pytest.mark.san
def test_hand_edits_are_named_kept_aside_and_not_carried_on(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    place = shop.place()
    replace(place.live_dir / "app" / "Shop.php", "<?php // quick fix\n")
    (place.live_dir / "public" / "debug.php").write_text("<?php phpinfo();\n")
    os.unlink(place.live_dir / "public" / "robots.txt")
    for verb in (["plan", "dev"], ["status"]):
        text = shop.run(*verb).text
        for name in ("app/Shop.php", "public/debug.php", "public/robots.txt"):
            assert name in text, (verb, name, text)
    shop.repo.write("new.txt", "new").commit("Another")
    result = shop.run.ok("deploy", "dev")
    assert "app/Shop.php" in result.text
    assert place.tree() == shop.repo.tree()
    aside = [path.read_text() for path in (place.path / ".lockstep" / "aside").rglob("*") if path.is_file()]
    assert "<?php // quick fix\n" in aside
    assert "<?php phpinfo();\n" in aside


@pytest.mark.skipif(os.cpu_count() < 2, reason="needs two processors")
def test_many_unchanged_files_are_linked_by_two_processes(shop):
    """The second one links from the middle on; it leaves what was edited to the first."""
    files = {f"many/{number // 100:02}/file{number}.txt": f"{number}\n" for number in range(3000)}
    shop.repo.import_files(files)
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    place = shop.place()
    before = place.live_dir
    for number in (10, 2990):
        replace(before / f"many/{number // 100:02}/file{number}.txt", "edited\n")
    shop.repo.import_files({"many/29/file2950.txt": "changed\n"})
    shop.run.ok("deploy", "dev")
    assert place.live_dir != before
    assert place.tree() == shop.repo.tree("main")
    for number in (5, 1600, 2999):
        path = f"many/{number // 100:02}/file{number}.txt"
        assert os.path.samefile(before / path, place.live_dir / path)
    shop.run.ok("rollback", "dev")
    assert place.tree() == shop.repo.tree("main~1")
    assert "edit" not in shop.run.ok("status").text


def test_generated_paths_are_never_drift(shop):
    shop.config["deploy"]["generated"] = ["bootstrap/cache"]
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    place = shop.place()
    (place.live_dir / "bootstrap" / "cache").mkdir(parents=True, exist_ok=True)
    (place.live_dir / "bootstrap" / "cache" / "routes.php").write_text("generated")
    assert "routes.php" not in shop.run.ok("status").text
    shop.repo.write("new.txt", "new").commit("Another")
    assert "routes.php" not in shop.run.ok("deploy", "dev").text


@pytest.mark.san
def test_a_rollback_puts_the_exact_bytes_back(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev", "--ref", "v1.0")
    first = shop.place().digest()
    shop.run.ok("deploy", "dev", "--ref", "main")
    assert shop.place().digest() != first
    shop.run.ok("rollback", "dev")
    assert shop.place().digest() == first
    assert shop.place().tree() == shop.repo.tree("v1.0")


def test_a_rollback_heals_what_an_edit_in_place_spoiled(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev", "--ref", "v1.1")
    shop.repo.write("new.txt", "new").commit("Another")
    shop.run.ok("deploy", "dev")
    place = shop.place()
    # The file is hard-linked into both activations: this spoils both.
    with open(place.live_dir / "README.md", "r+") as file:
        file.write("EDIT")
    shop.run.ok("rollback", "dev")
    assert place.tree() == shop.repo.tree("v1.1")


def test_a_rollback_to_a_named_deployment(shop):
    shop.environment("dev", "web1")
    refs = ["v1.0", shop.repo.git("rev-parse", "main~1"), "main"]
    ids = []
    for ref in refs:
        result = shop.run.ok("deploy", "dev", "--ref", ref, "--json")
        ids.append(result.json.get("deployment") or result.json["id"])
    shop.run.ok("rollback", "dev", "--to", ids[0])
    assert shop.place().tree() == shop.repo.tree("v1.0")
    shop.run.ok("rollback", "dev", "--to", ids[2])
    assert shop.place().tree() == shop.repo.tree("main")
    result = shop.run("rollback", "dev", "--to", "000000-nnnnn")
    assert result.code in (1, 5)


def test_with_nothing_to_go_back_to_a_rollback_is_refused(shop):
    shop.environment("dev", "web1")
    assert shop.run("rollback", "dev").code == 5
    shop.run.ok("deploy", "dev")
    live = shop.place().live
    assert shop.run("rollback", "dev").code == 5
    assert shop.place().live == live


def test_only_so_many_activations_are_kept(shop):
    shop.config["deploy"]["keep"] = 2
    shop.environment("dev", "web1")
    for number in range(4):
        shop.repo.write("number.txt", f"{number}\n").commit(f"Number {number}")
        shop.run.ok("deploy", "dev")
    assert len(shop.place().activations) == 2
    assert shop.place().activations[-1] == shop.place().live


def test_an_activation_a_process_still_uses_is_kept(shop):
    shop.config["deploy"]["keep"] = 1
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    first = shop.place().live_dir
    holder = os.open(first, os.O_RDONLY)
    import subprocess

    process = subprocess.Popen(["sleep", "100"], cwd=first)
    try:
        for number in range(3):
            shop.repo.write("number.txt", f"{number}\n").commit(f"Number {number}")
            shop.run.ok("deploy", "dev")
        assert first.exists()
    finally:
        process.kill()
        process.wait()
        os.close(holder)


def test_read_only_files_do_not_hinder(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    place = shop.place()
    os.chmod(place.live_dir / "README.md", 0o444)
    os.chmod(place.live_dir / "app", 0o555)
    shop.config["deploy"]["keep"] = 1
    shop.save()
    for number in range(2):
        shop.repo.write("number.txt", f"{number}\n").commit(f"Number {number}")
        shop.run.ok("deploy", "dev")
        assert place.tree() == shop.repo.tree()


def test_a_foreign_release_is_respected(shop):
    """A place Capistrano made: current shows releases/20240101000000."""
    shop.environment("dev", "web1")
    place = shop.place()
    foreign = place.path / "releases" / "20240101000000"
    foreign.mkdir(parents=True)
    (foreign / "old.php").write_text("old")
    (place.path / "current").symlink_to(foreign)
    shop.run.ok("deploy", "dev")
    assert place.tree() == shop.repo.tree()
    assert (foreign / "old.php").read_text() == "old"


@pytest.mark.parametrize("lock, tool", [(".dep/deploy.lock", "Deployer"), ("deploy.lock", "Mina")])
def test_the_lock_of_another_tool_is_respected(shop, lock, tool):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    live = shop.place().live
    file = shop.place().path / lock
    file.parent.mkdir(exist_ok=True)
    file.write_text("ann")
    shop.repo.write("new.txt", "new").commit("New")
    result = shop.run("deploy", "dev")
    assert result.code == 6, str(result)
    assert f"is being deployed to by {tool} (it has {lock})" in result.err
    assert shop.place().live == live and file.read_text() == "ann"
    file.unlink()
    shop.run.ok("deploy", "dev")


def test_a_current_that_is_a_folder_is_refused_and_left_alone(shop):
    shop.environment("dev", "web1")
    place = shop.place()
    (place.path / "current").mkdir(parents=True)
    (place.path / "current" / "index.html").write_text("precious")
    result = shop.run("deploy", "dev")
    assert result.code not in (0, 2), str(result)
    assert "current" in result.err
    assert (place.path / "current" / "index.html").read_text() == "precious"


@pytest.mark.san
def test_a_local_place_works_like_one_over_ssh(shop):
    target = shop.work / "local" / "shop"
    shop.config["environments"]["here"] = {"servers": [f"local://{target}"]}
    shop.save().run.ok("deploy", "here")
    assert read_tree(target / "current/") == shop.repo.tree()


def test_history_is_told(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev", "--ref", "v1.0")
    shop.run.ok("deploy", "dev", "--ref", "main")
    log = shop.run.ok("log").out
    assert log.count("dev") >= 2
    assert "Say welcome differently" in shop.run.ok("status").out
    assert len(shop.run.ok("releases").out.splitlines()) >= 2
    status = shop.run.ok("status", "--json").json
    assert shop.place().live[7:] in str(status)


def test_without_its_state_the_laptop_still_knows_what_is_live(shop):
    import shutil

    shop.environment("dev", "web1").run.ok("deploy", "dev")
    live = shop.place().live
    shutil.rmtree(shop.run.home)
    assert live[7:] in str(shop.run.ok("status", "--json").json)
    shop.run.ok("deploy", "dev")
    assert shop.place().live == live


def test_agents_of_long_ago_are_removed(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    place = shop.place()
    own = place.agents
    assert len(own) == 1
    private = place.path / ".lockstep"
    for name, age in (("agent-" + "0" * 64, 40), ("agent-new.abcdef", 40), ("agent-" + "1" * 64, 3)):
        (private / name).write_bytes(b"x")
        os.utime(private / name, (time.time() - age * 86400,) * 2)
    os.utime(own[0], (time.time() - 90 * 86400,) * 2)
    shop.repo.write("new.txt", "new").commit("Add a file")
    shop.run.ok("deploy", "dev")
    assert place.agents == sorted([*own, private / ("agent-" + "1" * 64)])


def test_a_folder_that_becomes_shared_is_something_to_deploy(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    release = shop.place().live.split("-")[1]
    shop.config["deploy"]["shared_dirs"] = ["uploads"]
    shop.save()
    assert "shared_dirs, shared_files, generated or link changed" in shop.run.ok("plan", "dev").out
    assert shop.run.ok("deploy", "dev", "--json").json["outcome"] == "live"
    assert shop.place().live.split("-")[1] == release
    assert os.path.islink(shop.place().live_dir / "uploads")
    assert shop.run.ok("deploy", "dev", "--json").json["outcome"] == "unchanged"
    del shop.config["deploy"]["shared_dirs"]
    shop.save().run.ok("deploy", "dev")
    assert not os.path.lexists(shop.place().live_dir / "uploads")
    assert shop.place().tree() == shop.repo.tree()


def test_how_it_is_deployed_is_nothing_to_deploy_unless_again_is_said(shop):
    """Hooks, reload, health and keep say how, not what: they count from the next deployment on."""
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    shop.config["deploy"] |= {"hooks": {"after_activate": "echo ran >> $HOME/ran"}, "keep": 3}
    shop.save()
    ran = shop.sshd["web1"].home / "ran"
    first = shop.place().live
    assert "--again" in shop.run.ok("deploy", "dev").out
    assert shop.place().live == first and not ran.exists()
    assert shop.run.ok("deploy", "dev", "--again", "--json").json["outcome"] == "live"
    assert ran.read_text() == "ran\n"
    assert shop.place().live != first and shop.place().tree() == shop.repo.tree()


def test_what_is_not_committed_is_not_deployed_and_said_so(shop):
    """With `source: .`: a person who has just edited a file must not wonder."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    shop.config["source"] = "."
    shop.environment("dev", "web1")
    (shop.folder / "index.html").write_text("one")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "One"]):
        subprocess.run([*git, *words], cwd=shop.folder, check=True)
    assert "not committed" not in shop.run.ok("deploy", "dev").err
    (shop.folder / "index.html").write_text("two")
    (shop.folder / "new.html").write_text("new")
    for verb in (["plan", "dev"], ["deploy", "dev"]):
        assert "2 changes in this folder are not committed" in shop.run.ok(*verb).err
    assert (shop.place().live_dir / "index.html").read_text() == "one"


def test_a_git_that_hangs_holds_up_neither_the_deployment_nor_its_history(shop):
    shop.config["source"] = "."
    shop.environment("dev", "web1")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    (shop.folder / "index.html").write_text("one")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "One"]):
        subprocess.run([*git, *words], cwd=shop.folder, check=True)
    wrapper = shop.folder.parent / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(
        '#!/bin/sh\ncase " $* " in *" status "*) exec tail -f /dev/null ;; esac\n'
        f'exec {shutil.which("git", path=shop.run.env["PATH"])} "$@"\n'
    )
    wrapper.chmod(0o755)
    done = shop.run.ok("deploy", "dev", env={"PATH": f"{wrapper.parent}:{shop.run.env['PATH']}"}, timeout=60)
    assert re.search(r"is not known \(git status: git took longer than 5.0 s and was stopped\): this is commit", done.err)
    assert (shop.place().live_dir / "index.html").read_text() == "one"
    assert [row["outcome"] for row in shop.run.ok("log", "--json").json["deployments"]] == ["live"]


def test_a_branch_that_is_not_there_is_told_with_those_that_are(shop):
    shop.environment("dev", "web1", deploy_on={"push": "production-ready"})
    result = shop.run("plan", "dev")
    assert result.code == 5
    assert "has no branch, tag or commit `production-ready`" in result.err
    assert "there are: " in result.err and "main" in result.err and "legacy" in result.err
    assert result.err.count(str(shop.repo.dir)) == 2, "once when it is fetched, once in the message"
