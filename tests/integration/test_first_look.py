"""The first command anybody types: places held against each other, without a project, as they
are found in the world: plain folders, git checkouts, Capistrano's layout, slips of the pen."""

import subprocess

import pytest


class Places:
    """The same folder on stg and prod. `git` in it is a checkout of the shop's repository."""

    def __init__(self, shop, path="www/shop", names=("stg", "prod")):
        self.shop = shop
        self.path = path
        self.names = names
        shop.sshd.add_all(*self.names)
        self.folders = [shop.sshd[name].place(path) for name in self.names]

    def releases(self):
        """Capistrano's layout, each with code and a REVISION of its own."""
        for number, folder in enumerate(self.folders):
            release = folder / "releases/20261101120000"
            release.mkdir(parents=True)
            (release / "index.php").write_text("<?php // one\n")
            (release / "REVISION").write_text(f"{number}" * 40 + "\n")
            (folder / "shared").mkdir()
            (folder / "current").symlink_to(release)
        return self

    def checkouts(self, *refs):
        for folder, ref in zip(self.folders, refs):
            folder.parent.mkdir(parents=True)
            self.shop.repo.git("clone", "-q", self.shop.repo.dir, str(folder))
            self.git(folder, "checkout", "-q", ref)
        return self

    @staticmethod
    def git(folder, *args):
        subprocess.run(["git", "-C", folder, "-c", "user.name=A", "-c", "user.email=a@example.org", *args],
                       check=True, capture_output=True)

    def diff(self, *args, code=9):
        words = [f"{name}:{self.path}" for name in self.names]
        result = self.shop.run("diff", *words, "--only", "file", *args)
        assert result.code == code, str(result)
        return result

    def found(self):
        return {finding["key"]: finding for finding in self.diff("--json").json["findings"]}


def texts(finding):
    return [cell["text"] for cell in finding["cells"]]


@pytest.mark.san
def test_a_git_checkout_knows_what_somebody_edited(shop):
    places = Places(shop).checkouts("main", "main")
    places.diff(code=0)
    shop.sshd.on("prod", "cd www/shop && echo '// in a hurry' >> app/Shop.php && rm README.md && echo new > info.php")
    found = places.found()
    assert set(found) == {"file/app/Shop.php/content", "file/README.md/", "file/info.php/"}, found
    before, now = texts(found["file/app/Shop.php/content"])
    assert before == "as in git" and now.startswith("edited ") and f"owner {shop.sshd.user}" in now
    assert "git checkout" in found["file/app/Shop.php/content"]["advice"]
    assert texts(found["file/README.md/"]) == ["as in git", "missing"]
    assert "removed, git has it" in found["file/README.md/"]["cause"]
    assert texts(found["file/info.php/"])[0] == "missing", "git has it on neither side"
    table = places.diff().out
    assert "as in git  edited" in table and "lacks it" in table and "with it" not in table, table
    places.git(places.folders[1], "checkout", "-q", "--", ".")
    (places.folders[1] / "info.php").unlink()
    places.diff(code=0)


@pytest.mark.parametrize("version", ["2", "4"])
def test_a_file_that_was_only_touched_is_as_in_git_whatever_the_index(shop, version):
    places = Places(shop).checkouts("main", "main")
    for folder in places.folders:
        places.git(folder, "update-index", "--index-version", version)
    shop.sshd.on("prod", "touch -d yesterday www/shop/README.md; printf 'x%.0s' 1 >> www/shop/up.txt")
    found = places.found()
    assert set(found) == {"file/up.txt/content"} and texts(found["file/up.txt/content"])[0] == "as in git", found


@pytest.mark.parametrize("how", ["--skip-worktree", "--assume-unchanged"])
def test_what_git_was_told_to_overlook_is_edited_all_the_same_but_never_removed(shop, how):
    places = Places(shop).checkouts("main", "v1.0")
    places.git(places.folders[1], "update-index", how, "README.md", "app/Shop.php")
    (places.folders[1] / "README.md").write_text("of this server\n")
    (places.folders[1] / "app/Shop.php").unlink()
    found = places.found()
    assert set(found) == {"file/./commit", "file/README.md/content"}, found
    assert texts(found["file/README.md/content"])[1].startswith("edited "), found


def test_a_link_that_leads_elsewhere_is_edited(shop):
    places = Places(shop)
    (shop.repo.dir / "latest").symlink_to("up.txt")
    shop.repo.git("add", "latest")
    shop.repo.commit("Link")
    places.checkouts("main", "main")
    places.diff(code=0)
    (places.folders[1] / "latest").unlink()
    (places.folders[1] / "latest").symlink_to("README.md")
    found = places.found()
    assert set(found) == {"file/latest/link"}, found
    assert found["file/latest/link"]["cause"].startswith("edited "), found


def test_an_edit_whose_time_was_put_back_is_found(shop):
    places = Places(shop).checkouts("main", "main")
    path = places.folders[1] / "up.txt"
    before = path.read_text()
    shop.sshd.on("prod", "cd www/shop && touch -d yesterday up.txt && git update-index --refresh && cp -p up.txt ../kept "
                 "&& tr a-z A-Z <../kept >up.txt && touch -r ../kept up.txt")
    assert path.read_text() == before.upper() != before
    now = texts(places.found()["file/up.txt/content"])[1]
    assert now.startswith("edited "), now


def test_what_git_converts_is_not_called_edited(shop):
    places = Places(shop).checkouts("main", "main")
    for folder in places.folders:
        (folder / ".git/info/attributes").write_text("*.txt eol=crlf\n")
    assert_converted(places, "up.txt")


def test_what_git_converts_by_the_word_of_a_folder_is_not_called_edited(shop):
    shop.repo.write("assets/.gitattributes", "*.bin filter=lfs\n").write("assets/a.bin", "pointer\n").commit("Assets")
    assert_converted(Places(shop).checkouts("main", "main"), "assets/a.bin")


def assert_converted(places, path):
    (places.folders[1] / path).write_text("ok\r\n")
    found = places.found()
    assert f"file/{path}/content" in found, found
    for key, finding in found.items():
        assert "edited" not in str(texts(finding)) + finding["cause"], (key, finding)


def test_another_commit_is_one_difference_and_hides_no_hand_edit(shop):
    places = Places(shop).checkouts("main", "v1.0")
    shop.sshd.on("prod", "echo '// in a hurry' >> www/shop/app/Shop.php")
    found = places.found()
    assert set(found) == {"file/./commit", "file/app/Shop.php/content"}, found
    assert len(set(texts(found["file/./commit"]))) == 2
    assert texts(found["file/app/Shop.php/content"])[1].startswith("edited ")
    assert "release commit" in places.diff().out


def test_beside_another_commit_files_git_does_not_have_are_not_checked(shop):
    places = Places(shop).checkouts("main", "v1.0")
    gaps = places.diff("--json").json["not_checked"]
    assert not [gap for gap in gaps if gap["key"].startswith("file/")], gaps
    (places.folders[1] / "public").mkdir(exist_ok=True)
    (places.folders[1] / "public/info.php").write_text("<?php phpinfo();\n")
    result = places.diff("--json")
    whys = [gap["why"] for gap in result.json["not_checked"] if gap["key"].startswith("file/")]
    assert len(whys) == 1 and "somebody edited 1 file:" in whys[0], result.json["not_checked"]
    assert result.json["coverage"] < 100
    places.git(places.folders[1], "checkout", "-q", "main")
    result = places.diff("--json")
    assert "file/public/info.php/" in {finding["key"] for finding in result.json["findings"]}
    assert not [gap for gap in result.json["not_checked"] if gap["key"].startswith("file/")]


def test_a_repository_that_names_programs_starts_none(shop, work):
    places = Places(shop).checkouts("main", "main")
    mark = work / "started"
    for name in ("core.fsmonitor", "core.sshCommand", "filter.x.clean"):
        places.git(places.folders[1], "config", name, f"touch {mark}")
    (places.folders[1] / "README.md").write_text("edited\n")
    assert "file/README.md/content" in places.found()
    assert not mark.exists()


def test_the_layout_of_capistrano(shop):
    places = Places(shop).releases()
    found = places.found()
    assert set(found) == {"file/./commit", "file/REVISION/content"}, found
    (places.folders[1] / "current").unlink()
    result = places.diff("--json", code=0)
    gaps = {gap["key"]: gap["why"] for gap in result.json["not_checked"]}
    assert gaps["file/./live"] == "nothing is live there yet", gaps


def test_a_current_that_leads_nowhere_is_no_place_where_nothing_is_yet(shop):
    places = Places(shop).releases()
    (places.folders[1] / "current").unlink()
    (places.folders[1] / "current").symlink_to("releases/20261231000000")
    result = places.diff("--json", code=0)
    gaps = {gap["key"]: gap for gap in result.json["not_checked"] if gap["environment"].startswith("prod:")}
    assert gaps["file/"]["why"] == "current cannot be opened: No such file or directory", gaps
    assert gaps["file/"]["rows"] >= 2, "the files of the other are counted"
    assert result.json["reference"].startswith("stg:")


def test_a_server_that_has_nothing_yet_hides_no_difference_of_the_others(shop):
    places = Places(shop, names=("stg", "prod", "new")).releases()
    (places.folders[2] / "current").unlink()
    (places.folders[1] / "current/index.php").write_text("<?php // two\n")
    result = places.diff("--json")
    found = {finding["key"]: finding for finding in result.json["findings"]}
    assert set(found) == {"file/REVISION/content", "file/index.php/content"}, found
    states = [cell["state"] for cell in found["file/index.php/content"]["cells"]]
    assert sorted(states) == ["drift", "not_checked", "same"], found
    whys = {gap["environment"]: gap["why"] for gap in result.json["not_checked"]}
    assert whys["new:www/shop"] == "nothing is live there yet", whys
    assert not [key for key in found if "new:" in found[key]["text"]], found


def test_files_nobody_keeps_in_git_say_when_they_were_changed(shop):
    places = Places(shop)
    for folder, text in zip(places.folders, ("one", "two")):
        folder.mkdir(parents=True)
        (folder / "a.php").write_text(text)
    shop.sshd.on("stg", "touch -d 2020-11-03T14:02:11Z www/shop/a.php")
    shop.sshd.on("prod", "touch -d 2021-12-04T09:00:00Z www/shop/a.php")
    assert texts(places.found()["file/a.php/content"]) == ["of 3 Nov 2020 14:02 UTC", "of 4 Dec 2021 09:00 UTC"]


def test_a_folder_that_is_not_there_is_no_place_that_is_the_same(shop):
    places = Places(shop)
    places.folders[0].mkdir(parents=True)
    result = places.diff(code=5)
    assert "prod:www/shop: there is no such folder" in result.err and "home folder" in result.err


def test_a_side_that_cannot_be_reached_leaves_nothing_to_compare(shop):
    places = Places(shop)
    for folder in places.folders:
        folder.mkdir(parents=True)
    shop.sshd["prod"].stop()
    result = places.diff(code=4)
    assert "could not be looked at" in result.out and "nothing could be compared" in result.out
    assert "no differences" not in result.out


def test_advice_for_places_names_no_command_that_needs_a_project(shop):
    places = Places(shop)
    for folder in places.folders:
        folder.mkdir(parents=True)
        (folder / ".env").write_text("DB_PASSWORD=correct-horse-battery\n")
    words = [f"{name}:{places.path}" for name in places.names]
    findings = shop.run("diff", *words, "--only", "env", "--json").json["findings"]
    assert findings and all("lockstep" not in finding["advice"] for finding in findings), findings


def test_whoever_looks_is_not_the_application(shop, tmp_path):
    """A laptop's folder is where its owner's shell stands, and the program itself."""
    (tmp_path / ".env").write_text("A=1\n")
    shop.run.folder = tmp_path
    facts = shop.run("facts", ".", "--only", "env", "--json", env={"OF_THE_SHELL": "1"}).json["servers"][0]["facts"]
    assert "env/A/present" in [fact["key"] for fact in facts]
    assert not [fact for fact in facts if "OF_THE_SHELL" in fact["key"]], facts
    shell = subprocess.Popen(["script", "-qec", f"cd {tmp_path} && exec bash --norc -i", "/dev/null"], cwd="/",
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             env={"PATH": "/usr/bin:/bin", "OF_THE_TERMINAL": "1", "PS1": "ready "})
    try:
        assert shell.stdout.read(5) == b"ready"
        facts = shop.run("facts", ".", "--only", "env", "--json").json["servers"][0]["facts"]
        assert not [fact for fact in facts if "OF_THE_TERMINAL" in fact["key"]], facts
    finally:
        shell.stdin.close()
        shell.terminate()
        shell.wait()
