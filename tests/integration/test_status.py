"""What `status` and `plan` say when things are not as they were left."""

import os


def test_what_stands_in_the_way_of_current_is_named(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    current = shop.sshd["web1"].place() / "current"
    was = os.readlink(current)
    os.unlink(current)
    result = shop.run.ok("status")
    assert "empty" in result.out and "`current` is not there; 1 activation is kept" in result.out
    os.symlink("/etc", current)
    result = shop.run.ok("status")
    assert "foreign" in result.out and "`current` shows /etc, which lockstep did not put there" in result.out
    os.unlink(current)
    current.mkdir()
    assert "`current` is no link" in shop.run.ok("status").out
    current.rmdir()
    os.symlink(was, current)
    assert "verified" in shop.run.ok("status").out


def test_a_renamed_project_is_noticed_before_anything_is_done(shop):
    shop.environment("dev", "web1").run.ok("deploy", "dev")
    shop.config["project"] = "renamed"
    shop.save()
    for verb in (["plan", "dev"], ["deploy", "dev"], ["rollback", "dev"]):
        result = shop.run(*verb)
        assert result.code == 6, str(result)
        assert "belongs to dev of shop, not to dev of renamed" in result.err
    status = shop.run.ok("status", "--json").json
    assert status["environments"][0]["servers"][0]["owner"] == {"project": "shop", "environment": "dev"}
    assert "this place belongs to dev of shop" in shop.run.ok("status").out
    assert [row["outcome"] for row in shop.run.ok("log", "--json").json["deployments"]] == ["refused", "refused"]

    assert shop.run.ok("deploy", "dev", "--take-over", "--json").json["outcome"] == "live", "nothing changed but the owner"
    assert "belongs" not in shop.run.ok("status").out
    assert shop.run.ok("deploy", "dev", "--json").json["outcome"] == "unchanged"


def test_the_exit_code_of_status_says_how_sure_it_is(shop):
    shop.environment("dev", "web1", "web2")
    shop.run.ok("deploy", "dev")
    assert shop.run("status").code == 0
    shop.sshd["web2"].stop()
    assert shop.run("status").code == 4
    shop.sshd["web2"].start()
    current = shop.sshd["web2"].place() / "current"
    was = os.readlink(current)
    os.unlink(current)
    result = shop.run("status")
    assert result.code == 10 and "mixed" in result.out, str(result)
    os.symlink(was, current)
    assert shop.run("status").code == 0


def test_a_release_is_named_once_and_building_means_building(shop):
    shop.config["build"] = {"run": ["echo from the build"]}
    shop.environment("dev", "web1")
    write = shop.folder / "lockstep.yml"
    (shop.repo.dir / "lockstep.yml").write_text(write.read_text())
    shop.repo.commit("a build")
    first, again = shop.run.ok("plan", "dev"), shop.run.ok("plan", "dev")
    assert "building" in first.err and "from the build" in first.err and "# done" not in first.text
    assert "building" not in again.err and "built before" in again.out
    for result in (first, again):
        assert result.text.count("release   ") == 1, str(result)


def test_one_release_with_two_configurations_is_mixed(shop):
    shop.config["files"] = [{"template": "app.tpl", "path": "app.conf"}]
    (shop.folder / "app.tpl").write_text("level ${LEVEL}\n")
    shop.environment("dev", "web1", values={"LEVEL": "info"}).run.ok("deploy", "dev")
    shop.environment("dev", "web1", "web2", values={"LEVEL": "debug"}).run.ok("deploy", "dev")
    first = shop.place("web1").activations[0]
    assert shop.run.ok("status", "--json").json["environments"][0]["state"] == "verified"
    current = shop.place("web1").path / "current"
    was = os.readlink(current)
    current.unlink()
    os.symlink(f"releases/{first}", current)
    result = shop.run("status")
    assert result.code == 10 and "mixed" in result.out, str(result)
    assert result.out.count(", configuration ") == 2
    current.unlink()
    os.symlink(was, current)
    assert shop.run("status").code == 0
