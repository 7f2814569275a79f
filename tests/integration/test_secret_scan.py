"""`secret scan` on commits and folders, as a person would run it."""

import random
import string


def key(seed=7):
    """Put together here, so that no scanner finds it in this file."""
    chance = random.Random(seed)
    return "sk_" + "live_" + "".join(chance.choice(string.ascii_letters + string.digits) for _ in range(32))


def test_a_committed_key_is_named_and_not_shown(shop):
    shop.environment("dev", "web1")
    clean = shop.run("secret", "scan", "main")
    assert clean.code == 0 and "0 findings" in clean.text, clean
    (shop.repo.dir / "pay.php").write_text(f"<?php\n$key = '{key()}';\n")
    shop.repo.git("add", "pay.php")
    shop.repo.git("commit", "-qm", "pay")
    found = shop.run("secret", "scan", "main")
    assert found.code == 9 and "pay.php:2: Stripe (stripe-live, live): sk_live_" in found.text, found
    assert key() not in found.text and key()[14:] not in found.text


def test_a_folder_is_looked_through(shop, work):
    shop.environment("dev", "web1")
    folder = work / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "prod.env").write_text(f"A=1\nSTRIPE={key()}\n")
    (folder / "picture").write_bytes(b"\0" + key().encode())
    (folder / "link").symlink_to("deep/prod.env")
    found = shop.run("secret", "scan", "--folder", str(folder), "--json")
    assert found.code == 9, found
    assert [(f["path"], f["line"], f["rule"]) for f in found.json["findings"]] == [("deep/prod.env", 2, "stripe-live")]
