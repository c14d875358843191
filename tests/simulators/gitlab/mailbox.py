"""A real HTTP server that keeps what GitLab sends."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Mailbox:
    """Answers every delivery with `status`; headers are kept in lower case."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.status = 202
        mailbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                mailbox.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(mailbox.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/gitlab"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def payloads(self) -> list[dict[str, Any]]:
        """Read the bodies."""
        return [json.loads(body) for _, body in self.received]

    def kinds(self) -> list[str]:
        """Name what came: `issue.open`, `note.create`, `push`."""
        names = []
        for payload in self.payloads:
            kind = payload.get("object_kind") or payload["event_name"]
            action = payload.get("object_attributes", {}).get("action")
            names.append(f"{kind}.{action}" if action else kind)
        return names

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
