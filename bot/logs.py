"""One shape of log for every role: readable at a terminal, JSON lines elsewhere, never a local variable.

Web uses the standard library alone: structlog brings rich along, which would double the memory of that process.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final, TextIO

from bot import __version__
from bot.audit.redact import redacted, redacted_data

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

RENAMED: Final = {"event": "message", "timestamp": "@timestamp", "level": "log.level"}
OURS: Final = frozenset({"task", "attempt", "delivery", "phase", "forge", "repo", "issue", "code"})


def plain(role: str, to: TextIO | None = None, secrets: Collection[str] = ()) -> None:
    """Set up the logs of a process that uses the standard library alone; `secrets` never show in them."""
    to = to or sys.stderr
    handler = logging.StreamHandler(to)
    handler.setFormatter(_Words(secrets) if to.isatty() else _Lines(role, secrets))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def structured(role: str, to: TextIO | None = None, secrets: Collection[str] = ()) -> None:
    """Set up the logs of control and workers: structlog, with what libraries log in the same shape."""
    import structlog  # noqa: PLC0415 - see above

    to = to or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _discreet(secrets),
    ]
    # Plain tracebacks: rich ones print local variables, and those may be keys.
    readable: list[Processor] = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    lines: list[Processor] = [_ecs(role), structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *(readable if to.isatty() else lines)],
        logger_factory=structlog.PrintLoggerFactory(to),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    plain(role, to, secrets)
    logging.getLogger().setLevel(logging.WARNING)


def named(event: dict[str, Any], role: str) -> dict[str, Any]:
    """Give keys the names of the Elastic Common Schema; ours stand below `gatewright.`."""
    named = {RENAMED.get(key, f"gatewright.{key}" if key in OURS else key): value for key, value in event.items()}
    return {**named, "service.name": f"gatewright-{role}", "service.version": __version__}


def _ecs(role: str) -> Processor:
    def rename(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return named(dict(event), role)

    return rename


def _discreet(secrets: Collection[str]) -> Processor:
    def cut(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {key: redacted_data(value, secrets) for key, value in event.items()}

    return cut


class _Words(logging.Formatter):
    """Writes a record of the standard library for a person."""

    def __init__(self, secrets: Collection[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Write one record and its traceback."""
        return redacted(super().format(record), self._secrets)


class _Lines(logging.Formatter):
    """Writes a record of the standard library as one JSON line."""

    def __init__(self, role: str, secrets: Collection[str]) -> None:
        super().__init__()
        self._role = role
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        event: dict[str, Any] = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": f"{at}.{int(record.msecs):03d}Z",
            "logger": record.name,
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(named(redacted_data(event, self._secrets), self._role))
