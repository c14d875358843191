"""A forge for tests of submodules and Git LFS: git over HTTP, the batch API and an object store, all as told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from bot.forges.protocol import GitAccess
from tests.runners.workspace.kit import GitServer, _Handler

USER, PASSWORD = "x-access-token", "s3cr3t-tok3n"
ACCESS = GitAccess(USER, PASSWORD, 0)
MEDIA = "application/vnd.git-lfs+json"


def pointer(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"


class Forge(GitServer):
    """Serves repositories below `root`: those in `public` to everybody, all others to the one credential."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, USER, PASSWORD)
        self.RequestHandlerClass = _Forge
        self.public: set[str] = set()
        self.objects: dict[str, bytes] = {}  # of the object store, by digest
        self.is_store = False  # a store knows no credential
        self.moved = ""  # where downloads are redirected to
        self.asked: list[dict[str, object]] = []
        self.item: Callable[[str], dict[str, object]] = self.download

    @property
    def at(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def gets(self) -> list[tuple[str, str]]:
        return [each for each in self.seen if "/store/" in each[0]]

    def keep(self, content: bytes) -> str:
        self.objects[hashlib.sha256(content).hexdigest()] = content
        return pointer(content)

    def download(self, oid: str, at: str = "", **header: str) -> dict[str, object]:
        """Describe an object as most servers do: on this server, or on the store `at`."""
        return {"oid": oid, "actions": {"download": {"href": f"{at or self.at}/store/{oid}", "header": header}}}


class _Forge(_Handler):
    server: Forge

    def _serve(self) -> None:
        if self.path.endswith("/info/lfs/objects/batch"):
            self._batch()
        elif self.path.startswith("/store/"):
            self._object()
        elif self.path.split("/")[1] in self.server.public:
            self.server.seen.append((self.requestline, self.headers.get("Authorization", "")))
            self._cgi()
        else:
            super()._serve()

    do_GET = do_POST = _serve  # noqa: N815 - http.server finds them by these names

    def _batch(self) -> None:
        given = self.headers.get("Authorization", "")
        self.server.seen.append((self.requestline, given))
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if given != self.server.expected:
            self._answer(401, b"{}")
            return
        self.server.asked.append(asked)
        items = [
            self.server.item(each["oid"]) if each["oid"] in self.server.objects
            else {"oid": each["oid"], "error": {"code": 404, "message": "Object does not exist"}}
            for each in asked["objects"]
        ]  # fmt: skip
        self._answer(200, json.dumps({"transfer": "basic", "objects": items}).encode())

    def _object(self) -> None:
        given = self.headers.get("Authorization", "")
        self.server.seen.append((self.requestline, given))
        if self.server.moved:
            self.send_response(302)
            self.send_header("Location", self.server.moved + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif not self.server.is_store and given != self.server.expected:
            self._answer(401, b"")
        else:
            self._answer(200, self.server.objects.get(self.path.rpartition("/")[2], b"another content"))

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", MEDIA)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def forge(root: Path) -> Iterator[Forge]:
    server = Forge(root)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
