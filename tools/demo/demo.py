#!/usr/bin/python3
"""Tells what lockstep does, with real parts: throwaway sshd servers on loopback, a
real git repository, the real program. Every step checks by itself what the servers
show; if one does not go as told, the demo says so and exits 1."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from testbed.apprepo import AppRepo  # noqa: E402
from testbed.place import Place  # noqa: E402
from testbed.program import Program  # noqa: E402
from testbed.servers import Fleet  # noqa: E402

CONFIG = """\
version: 1
project: shop
source: {origin}

build:
  run: ["sh bin/build-assets"]      # once per commit; what it leaves is the release

deploy:
  path: srv/shop                    # below the home folder of the user ssh logs in as
  shared_dirs: [storage]
  reload: none
  health: {{ url: "http://127.0.0.1:{port}/up", within: 5s }}
  keep: 5

environments:
  dev:        {{ servers: [dev1], deploy_on: {{ push: main }} }}
  staging:    {{ servers: [stg1, stg2], promote_from: dev }}
  production: {{ servers: [prod1, prod2], promote_from: staging }}
"""

BUILD_ASSETS = """\
#!/bin/sh
# Stands for npm run build: makes files that are not in git.
set -e
mkdir -p public/build
cat public/style.css > public/build/app.css
sha256sum public/build/app.css | cut -c1-12 > public/build/version
"""

# What the chapter about configuration adds.
CONFIGURATION = """\
env:
  LOG_LEVEL:   {{ type: enum, one_of: [debug, info, warning], default: info }}
  DB_PASSWORD: {{ secret: true, unique: true }}

files:
  - {{ template: deploy/app.ini.tpl, path: config/app.ini }}

environments:
  dev:        {{ servers: [dev1], deploy_on: {{ push: main }}, values_from: ["sealed:deploy/dev.sealed"],
                values: {{ LOG_LEVEL: debug }} }}
  staging:    {{ servers: [stg1, stg2], promote_from: dev, values_from: ["sealed:deploy/staging.sealed"] }}
  production: {{ servers: [prod1, prod2], promote_from: staging, values_from: ["sealed:deploy/production.sealed"],
                values: {{ LOG_LEVEL: {level} }},
                hooks: {{ before_activate: '. /dev/fd/3; echo "trying the password $DB_PASSWORD"' }} }}
"""

TEMPLATE = """\
log_level = ${LOG_LEVEL}
password  = ${DB_PASSWORD|ini}
"""

FILES = 3000


class NotAsTold(Exception):
    pass


class Narrator:
    def __init__(self):
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.bold, self.dim, self.good, self.bad, self.end = (
            ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if colour else ("",) * 5
        )
        self.number = 0

    def chapter(self, title, text):
        self.number += 1
        print(f"\n{self.bold}{self.number}. {title}{self.end}")
        print(textwrap.fill(" ".join(text.split()), 88))
        print(flush=True)

    def command(self, text):
        print(f"{self.bold}$ {text}{self.end}", flush=True)

    def saw(self, text):
        print(f"{self.good}✓ {text}{self.end}", flush=True)

    def insist(self, truth, text):
        if not truth:
            raise NotAsTold(text)
        self.saw(text)


class Story:
    def __init__(self, program, work):
        self.tell = Narrator()
        self.work = work
        self.fleet = Fleet(work / "servers")
        self.project = work / "project"
        self.project.mkdir()
        self.printed = ""
        self.lockstep = Program(program, work / "state", self.project, self.fleet.ssh)
        for name in ("TERM", "NO_COLOR", "COLUMNS"):
            if name in os.environ:
                self.lockstep.env[name] = os.environ[name]

    # What the story stands on

    def set_up(self):
        self.tell.chapter(
            "Five servers and a repository",
            """Five real sshd processes on loopback play one server for dev, two for staging and two
            for production, each with a home folder and a web server of its own. A git repository
            with history plays the project's origin.""",
        )
        for name in ("dev1", "stg1", "stg2", "prod1", "prod2"):
            self.fleet.add(name).serve()
        self.repo = AppRepo(self.work / "checkout").with_history()
        self.repo.write("bin/build-assets", BUILD_ASSETS, 0o755)
        for number in range(FILES):
            body = "".join(f"    public function call{i}() {{ return {number * i}; }}\n" for i in range(1, 60))
            self.repo.write(f"vendor/lib{number % 50:02}/Class{number:04}.php", f"<?php\nclass C{number} {{\n{body}}}\n")
        self.repo.commit("Add what the shop stands on")
        self.origin = self.work / "origin.git"
        subprocess.run(["git", "clone", "-q", "--bare", self.repo.dir, self.origin], check=True)
        self.repo.git("remote", "add", "origin", str(self.origin))
        (self.project / "lockstep.yml").write_text(CONFIG.format(origin=self.origin, port=self.fleet.web_port))
        self.tell.command("cat lockstep.yml")
        print((self.project / "lockstep.yml").read_text())
        self.run("config", "validate")
        self.run("server", "check")

    def run(self, *args, expect=0, saying=(), typed=None):
        """Shows a command and its real output; insists on its exit code and on words.
        `typed` is what it reads from standard input."""
        self.tell.command("lockstep " + " ".join(args))
        began = time.monotonic()
        if saying:
            process = self.lockstep.start(*args, stdin=subprocess.PIPE, stderr=subprocess.STDOUT)
            out = process.communicate(typed.encode() if typed else None, timeout=300)[0].decode(errors="replace")
            self.printed += out
            sys.stdout.write(out)
        else:
            process = self.lockstep.start(*args, stdout=None, stderr=None)
            process.wait(300)
            out = ""
        seconds = time.monotonic() - began
        sys.stdout.flush()
        if process.returncode != expect:
            raise NotAsTold(f"`lockstep {' '.join(args)}` ended with {process.returncode}, not {expect}")
        for words in saying:
            if words not in out:
                raise NotAsTold(f"`lockstep {' '.join(args)}` did not say \"{words}\"")
        return seconds

    def place(self, server):
        return Place(self.fleet[server].place())

    def live(self, *servers):
        return [self.place(server).live for server in servers]

    def digests(self, *servers):
        return {self.place(server).digest() for server in servers}

    def push(self, subject):
        commit = self.repo.commit(subject)
        self.repo.git("push", "-q", "origin", "main")
        self.tell.command(f'git commit -qam "{subject}" && git push -q origin main')
        return commit

    # The story

    def push_to_dev(self):
        self.tell.chapter(
            "A push to main goes to dev",
            f"""lockstep fetches the commit, builds it once in a sandbox, and brings the release, some
            {FILES} files, to the dev server: code and configuration go live in one rename, and the
            server must then answer its health check.""",
        )
        self.push("Open the shop")
        self.first_seconds = self.run("deploy", "dev")
        place = self.place("dev1")
        self.tell.insist(place.live is not None, f"dev1 shows {place.live}")
        self.tell.insist(
            b"public/build/app.css" in place.tree() and b"app/Shop.php" in place.tree(),
            "it holds the commit and what the build made of it",
        )
        self.tell.insist("/up" in self.fleet["dev1"].site.asked, "its health was asked")

    def same_release_to_staging(self):
        self.tell.chapter(
            "Production is refused, staging receives the very same release",
            """Production is promoted from staging. Nothing is live and verified in staging yet, so
            the gate is closed (exit code 7). Then the release that is live in dev goes to both
            staging servers at once. It is not built again: the bytes are the same.""",
        )
        self.run("deploy", "production", "--ref", "main", expect=7)
        self.tell.insist(self.live("prod1", "prod2") == [None, None], "production was not touched")
        self.run("promote", "dev", "staging")
        self.tell.insist(len(self.digests("dev1", "stg1", "stg2")) == 1, "dev1, stg1 and stg2 show the same bytes")

    def to_production(self):
        self.tell.chapter(
            "Now production may have it",
            """The receipts on the staging servers say that this release is live there and was
            verified, so the gate opens.""",
        )
        self.run("promote", "staging", "production")
        self.tell.insist(
            len(self.digests("stg1", "prod1", "prod2")) == 1, "prod1 and prod2 show the bytes that staging verified"
        )
        self.first_digest = self.place("prod1").digest()
        self.first_live = self.live("prod1", "prod2")
        self.run("status")

    def small_change(self):
        self.tell.chapter(
            "A change of a few files",
            """Only what changed travels; everything else is taken from what the server has.""",
        )
        self.repo.write("public/style.css", "body { margin: 0; color: teal }\n")
        self.repo.write("app/models/Model07.php", "<?php\nfinal class Model07 { public int $price = 7; }\n")
        self.push("Paint it teal")
        seconds = self.run("deploy", "dev")
        self.tell.insist(
            b"teal" in self.place("dev1").tree()[b"public/build/app.css"][2], "dev1 shows the new style"
        )
        self.tell.insist(
            seconds < self.first_seconds, f"{seconds:.1f} s, after {self.first_seconds:.1f} s for the first one"
        )
        self.run("promote", "dev", "staging")
        self.run("promote", "staging", "production")
        self.tell.insist(len(self.digests("dev1", "stg1", "prod1", "prod2")) == 1, "all environments show it")
        self.second_digest = self.place("prod1").digest()

    def failing_server(self):
        self.tell.chapter(
            "One server is not well, so the whole group goes back",
            """The next release works everywhere but on prod2. Its health check fails there, and
            production must not be half new: prod1, which is well, goes back too (exit code 8).""",
        )
        self.repo.write("app/Shop.php", "<?php\n// needs something prod2 does not have\n")
        self.push("Use a newer function")
        self.run("deploy", "dev")
        self.run("promote", "dev", "staging")
        before = self.live("prod1", "prod2")
        self.fleet["prod2"].site.only_well_with = before[1]
        self.run("promote", "staging", "production", expect=8)
        self.fleet["prod2"].site.only_well_with = None
        self.tell.insist(self.live("prod1", "prod2") == before, "both show what they showed before")
        self.tell.insist(self.digests("prod1", "prod2") == {self.second_digest}, "byte by byte")

    def rollback(self):
        self.tell.chapter(
            "A rollback puts the exact earlier bytes back",
            """The release before is still on the servers. Every file of it is hashed before it goes
            live again.""",
        )
        self.run("rollback", "production")
        self.tell.insist(
            self.digests("prod1", "prod2") == {self.first_digest}, "prod1 and prod2 show the first release, byte by byte"
        )

    def hand_edit(self):
        self.tell.chapter(
            "Somebody edits a file on a server",
            """It is noticed and named. `drift` holds three sides against each other: what the project
            declares, what was deployed, what is there. Then it goes into the code as a patch, or the
            server goes back to what was deployed.""",
        )
        target = self.place("prod1").live_dir / "app" / "Shop.php"
        original = target.read_bytes()
        self.tell.command("ssh prod1 \"echo '// quick fix' >> srv/shop/current/app/Shop.php\"")
        # As an editor does it: a new file in place of the old one.
        target.with_name("Shop.php~").write_bytes(original + b"// quick fix\n")
        os.rename(target.with_name("Shop.php~"), target)
        self.run("status", saying=["app/Shop.php"])
        self.tell.saw("status names the file")
        self.run("drift", "production", expect=9, saying=["app/Shop.php"])
        finding = self.finding("app/Shop.php")
        self.run("accept", finding, saying=["+// quick fix"])
        self.run("revert", finding)
        self.tell.insist(target.parent.parent.parent.exists(), "the server went back to what was deployed")
        self.tell.insist(
            self.digests("prod1", "prod2") == {self.first_digest}, "prod1 and prod2 show the release, byte by byte"
        )

    def finding(self, path):
        """The id `drift` gave it, as a person would copy it from the screen."""
        result = self.lockstep("drift", "production", "--json").json
        return next(row["id"] for row in result["findings"] if path in row["key"])

    def differences(self):
        self.tell.chapter(
            "What differs between staging and production",
            """The question behind most failed deployments, asked of the servers themselves: system,
            packages, runtimes, variables, files, network, units. Here staging got a config file in
            shared/ that production never saw. This command needs no lockstep.yml at all.""",
        )
        shared = self.place("stg1").path / "shared" / "limits.ini"
        shared.parent.mkdir(exist_ok=True)
        shared.write_text("requests = 100\n")
        places = [f"{name}:srv/shop" for name in ("stg1", "prod1")]
        self.run("diff", *places, expect=9, saying=["shared"])
        self.tell.saw("staging has what production lacks; what was not checked is counted")

    def configuration(self):
        self.tell.chapter(
            "One release, a configuration for each environment",
            """The contract declares every variable once; each environment has values of its own, and
            the password stands sealed in the repository. A file made from a template goes into the
            activation, so that code and configuration switch in one rename. When nothing but a value
            changes, nothing but the configuration travels.""",
        )
        self.configure("info")
        self.tell.command("tail -n 15 lockstep.yml; cat deploy/app.ini.tpl")
        print(CONFIGURATION.format(level="info"))
        print(TEMPLATE)
        secrets = {name: f"{name}-{os.urandom(8).hex()}" for name in ("dev", "staging", "production")}
        for name, secret in secrets.items():
            self.run("secret", "set", name, "DB_PASSWORD", saying=["DB_PASSWORD"], typed=secret)
        self.run("config", "diff", "dev", "production", saying=["***", "LOG_LEVEL"])
        release = self.place("dev1").live.split("-")[1]
        self.run("deploy", "dev", saying=["with its new configuration"])
        self.run("deploy", "production", "--config-only", saying=["trying the password ***"])
        self.insist_on_config("dev1", "debug", secrets["dev"])
        self.insist_on_config("prod2", "info", secrets["production"])
        self.tell.insist(self.place("dev1").live.endswith(release), "the release is the same: nothing was built or sent")
        self.configure("warning")
        self.tell.command("sed -i 's/LOG_LEVEL: info/LOG_LEVEL: warning/' lockstep.yml")
        self.run("deploy", "production", "--config-only", "--dry-run", saying=["info -> warning", "config/app.ini"])
        self.run("deploy", "production", "--config-only", saying=["with its new configuration"])
        self.insist_on_config("prod1", "warning", secrets["production"])
        self.run("deploy", "production", "--config-only", saying=["unchanged"])
        self.run("rollback", "production", "--config", saying=["production now runs"])
        self.insist_on_config("prod1", "info", secrets["production"])
        self.tell.insist(
            not any(secret in self.printed for secret in secrets.values()), "no password was printed"
        )
        written = [path for folder in (self.work / "state", self.project) for path in folder.rglob("*") if path.is_file()]
        written += [self.place(server).path / ".lockstep" / "journal" for server in ("dev1", "prod1", "prod2")]
        self.tell.insist(
            not any(secret.encode() in path.read_bytes() for path in written for secret in secrets.values()),
            "nor does one stand in the project, in this machine's state, or in a server's journal",
        )

    def configure(self, level):
        whole = CONFIG.format(origin=self.origin, port=self.fleet.web_port)
        before = whole[: whole.index("environments:")]
        (self.project / "lockstep.yml").write_text(before + CONFIGURATION.format(level=level))
        (self.project / "deploy").mkdir(exist_ok=True)
        (self.project / "deploy" / "app.ini.tpl").write_text(TEMPLATE)

    def insist_on_config(self, server, level, secret):
        text = (self.place(server).live_dir / "config" / "app.ini").read_text()
        self.tell.insist(
            f"log_level = {level}\n" in text and secret in text,
            f"{server} has log_level = {level}, and the password of its environment",
        )

    def the_end(self):
        self.tell.chapter(
            "What you would type next",
            "All of this was on throwaway servers, which are gone now. In a project of your own:",
        )
        print(
            textwrap.dedent(
                f"""\
                  {os.path.relpath(self.lockstep.binary)} init             # writes a commented lockstep.yml
                  {os.path.relpath(self.lockstep.binary)} config validate  # every mistake in one go
                  {os.path.relpath(self.lockstep.binary)} server check     # what is missing on the servers, and how to mend it
                  {os.path.relpath(self.lockstep.binary)} plan dev         # what a deployment would do
                  {os.path.relpath(self.lockstep.binary)} deploy dev
                """
            )
        )

    def tell_all(self):
        for part in (
            self.set_up,
            self.push_to_dev,
            self.same_release_to_staging,
            self.to_production,
            self.small_change,
            self.failing_server,
            self.rollback,
            self.hand_edit,
            self.differences,
            self.configuration,
            self.the_end,
        ):
            part()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=str(ROOT / "build" / "lockstep"))
    parser.add_argument("--keep", action="store_true", help="leave the folder with servers, state and project behind")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="lockstep-demo-"))
    story = None
    try:
        story = Story(options.program, work)
        story.tell_all()
        return 0
    except NotAsTold as problem:
        print(f"\n{story.tell.bad}This did not go as told: {problem}{story.tell.end}", file=sys.stderr)
        for server in story.fleet.servers.values():
            errors = [line for line in server.log().splitlines() if "error" in line.lower()]
            if errors:
                print(f"{server.name}: {errors[-1]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if story:
            story.fleet.end()
        if options.keep:
            print(f"left behind: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
