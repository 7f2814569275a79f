"""Certificates of an authority made for one test, by openssl."""

import subprocess


class Authority:
    """`authority.issue("shop", "shop.test", "127.0.0.1")` gives the paths of chain and key."""

    def __init__(self, folder, name="Test Authority"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "ca.pem"
        self.key = folder / "ca.key"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-subj", f"/CN={name}", "-days", "30", "-keyout", self.key, "-out", self.file)
        (folder / "index.txt").touch()
        (folder / "ca.cnf").write_text(
            f"[ca]\ndefault_ca = own\n[own]\ndatabase = {folder}/index.txt\nnew_certs_dir = {folder}\n"
            f"rand_serial = yes\ndefault_md = sha256\npolicy = any\nunique_subject = no\n"
            "copy_extensions = copy\n[any]\ncommonName = supplied\n"
        )

    def openssl(self, *args):
        done = subprocess.run(["openssl", *map(str, args)], cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    def issue(self, name, *names, start="20200101000000Z", end="20991231000000Z"):
        chain, key, request = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        listed = ",".join(("IP:" if part[0].isdigit() else "DNS:") + part for part in names)
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                     f"/CN={names[0]}", "-addext", f"subjectAltName={listed}", "-keyout", key, "-out", request)
        self.openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", self.file, "-keyfile", self.key,
                     "-startdate", start, "-enddate", end, "-in", request, "-out", chain)
        return chain, key

    def self_signed(self, name, host):
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                     f"/CN={host}", "-addext", f"subjectAltName=IP:{host}", "-days", "30", "-keyout", key, "-out", chain)
        return chain, key
