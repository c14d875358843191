"""Run the scripted model as a program: `python -m tests.simulators.models --script FILE --port 0`.

Prints its base URL as the first line and serves until it is terminated; with `--log FILE` each request that it
accepted is appended there as one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from dataclasses import asdict
from pathlib import Path

from tests.simulators.models.script import Script
from tests.simulators.models.server import REAL_KEY, ModelServer, Seen


class _Log(list[Seen]):
    """A list that writes down what it is given."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def append(self, seen: Seen) -> None:
        super().append(seen)
        with self._path.open("a") as log:
            log.write(json.dumps(asdict(seen)) + "\n")


async def serve(script: Path, port: int, key: str, log: Path | None, models: list[str]) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = ModelServer(Script.load(script), key=key, port=port)
    server.models = tuple(models) or server.models
    if log:
        server.requests = _Log(log)
    async with server:
        print(server.url, flush=True)
        await stop.wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulators.models")
    parser.add_argument("--script", type=Path, required=True, help="JSON list of steps")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--key", default=REAL_KEY, help="the only key that is accepted")
    parser.add_argument("--log", type=Path, help="append accepted requests here, one JSON a line")
    parser.add_argument("--model", action="append", default=[], help="a model that it lists; may be repeated")
    given = parser.parse_args()
    asyncio.run(serve(given.script, given.port, given.key, given.log, given.model))


if __name__ == "__main__":
    main()
