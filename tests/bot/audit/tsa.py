"""A time-stamping authority made by openssl, answering over HTTP on this machine."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

CONF = """
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[tsa]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa_default]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


def openssl(*words: object, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *map(str, words)], input=stdin, check=True, capture_output=True).stdout


class Authority:
    """A root, a certificate for time stamps below it, and nothing else in the replies: not the root, nor a chain."""

    def __init__(self, folder: Path, days: int = 30) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.conf = folder / "tsa.conf"
        self.conf.write_text(CONF.format(folder=folder))
        (folder / "serial").write_text("01\n")
        for name in ("root", "tsa"):
            openssl(
                "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / f"{name}.key"
            )
        openssl(
            "req", "-new", "-x509", "-key", folder / "root.key", "-subj", "/CN=Root", "-days", days,
            "-config", self.conf, "-extensions", "ca", "-out", folder / "root.pem",
        )  # fmt: skip
        openssl(
            "req", "-new", "-key", folder / "tsa.key", "-subj", "/CN=TSA", "-config", self.conf, "-out", folder / "csr"
        )
        openssl(
            "x509", "-req", "-in", folder / "csr", "-CA", folder / "root.pem", "-CAkey", folder / "root.key",
            "-set_serial", "7", "-days", days, "-extfile", self.conf, "-extensions", "tsa", "-out", folder / "tsa.pem",
        )  # fmt: skip
        self.roots = (folder / "root.pem").read_bytes()

    def reply(self, query: bytes) -> bytes:
        """Answer one request."""
        (self.folder / "query").write_bytes(query)
        return openssl(
            "ts", "-reply", "-queryfile", self.folder / "query", "-config", self.conf, "-section", "tsa_default"
        )  # fmt: skip

    def token(self, message: bytes) -> bytes:
        """Stamp a message as openssl asks for it."""
        (self.folder / "message").write_bytes(message)
        return self.reply(openssl("ts", "-query", "-data", self.folder / "message", "-sha256", "-cert"))


class Server:
    """An HTTP server on loopback that answers POSTs by a function, and counts them."""

    def __init__(self, answer: Callable[[bytes], tuple[int, bytes]]) -> None:
        self.asked: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.asked.append(body)
                status, said = answer(body)
                self.send_response(status)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
