"""The errors that may cross a folder border."""

from __future__ import annotations


class GatewrightError(Exception):
    """Say what happened, why, and what to do next.

    `code` is stable (`GW-...`): the same one stands in the comment, the log, `--json` and docs/errors.md.
    """

    def __init__(self, code: str, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        parts = [f"{self.what} [{self.code}]"]
        if self.why:
            parts.append(f"why: {self.why}")
        if self.fix:
            parts.append(f"fix: {self.fix}")
        return "\n".join(parts)


class UsageError(GatewrightError):
    """A call or a setting that cannot be carried out as written (exit 2)."""


class Refused(GatewrightError):
    """A person may not do this, or not now; answered with a reply, never a crash."""


class Unavailable(GatewrightError):
    """Something outside (Redis, a forge, a model) did not answer; trying again may help."""


class Superseded(GatewrightError):
    """The attempt or the lease is no longer the current one: stop without writing."""
