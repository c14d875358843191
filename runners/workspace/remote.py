"""One talk with one remote: which protocol, whose credential, and what may be said about it afterwards."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from bot.forges.protocol import GitAccess
from bot.model.errors import GatewrightError, Unavailable
from runners.workspace.git import FULL, SPEECH, Git, GitError, Outcome, failure

NETWORK_SECONDS: Final = 900.0
# Proxies and certificate authorities of the site; nothing else of the worker's environment reaches git.
PASSED: Final = (
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
)  # fmt: skip
USERINFO: Final = re.compile(r"(?<=://)[^/@\s]+@")
REFUSED: Final = re.compile(r"^!\t\S+\t(?P<reason>.+)$", re.MULTILINE)
DENIED: Final = ("Authentication failed", "could not read Username", "error: 401", "error: 403", "returned error: 40")
AWAY: Final = ("Could not resolve host", "Failed to connect", "Connection refused", "timed out", "error: 5", "hung up")


class Remote:
    """A repository to fetch from or push to; the credential lives as long as this object.

    The credential reaches git through the environment of the one process that needs it: never argv, a file or a URL.
    """

    def __init__(self, url: str, access: GitAccess | None) -> None:
        self.url = checked(url)
        self._secrets = _secrets(access)
        self._config = [("transfer.credentialsInUrl", "die")]
        if access is not None and self.protocol != "file":
            scope = f"http.{_origin(url)}.extraHeader"
            self._config.append((scope, f"Authorization: Basic {_basic(access)}"))

    @property
    def protocol(self) -> str:
        """Name the only transport that git may use."""
        return "file" if self.url.startswith("/") else "http:https"

    async def run(self, git: Git, *args: str, timeout: float = NETWORK_SECONDS, pass_fds: Sequence[int] = ()) -> bytes:
        """Run one command that talks to this remote; raise GitError or Unavailable with scrubbed words."""
        outcome = await git.call(
            *args, env=_site(os.environ), config=self._config, protocol=self.protocol, timeout=timeout,
            pass_fds=pass_fds,
        )  # fmt: skip
        if outcome.code:
            raise self._failure(args[0], outcome)
        return outcome.out

    def scrub(self, text: str) -> str:
        """Take every form of the credential out of a text."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return USERINFO.sub("***@", text)

    def _failure(self, verb: str, outcome: Outcome) -> GatewrightError:
        said = self.scrub(outcome.err)[-SPEECH:].strip()
        place = self.scrub(self.url)
        if refused := REFUSED.search(outcome.out.decode(errors="replace")):
            return GitError(
                "GW-GIT-REJECTED",
                f"{place} refused the push",
                why=self.scrub(refused["reason"]),
                fix="somebody else moved the branch, or a rule of the forge protects it: look there, then retry",
            )
        if any(words in said for words in FULL):
            return failure((verb,), msgspec.structs.replace(outcome, err=said))
        if any(words in said for words in DENIED):
            fix = "check that the token is valid and may read (push: write) this repository"
            return GitError("GW-GIT-ACCESS", f"{place} refused the credential", why=said, fix=fix)
        if any(words in said for words in AWAY):
            return Unavailable("GW-GIT-AWAY", f"{place} did not answer", why=said, fix="retry when it does")
        if "unable to update url base from redirection" in said:
            fix = "the repository moved: set its present address"
            return GitError("GW-GIT-MOVED", f"{place} redirects elsewhere", why=said, fix=fix)
        return GitError("GW-GIT-FAILED", f"git {verb} failed on {place}", why=said)


def checked(url: str) -> str:
    """Let http, https and absolute paths pass; a credential in a URL would end up in logs."""
    if url.startswith("/"):
        return url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        what = f"{USERINFO.sub('***@', url)} is no repository address"
        raise GitError("GW-GIT-URL", what, fix="use https://host/path or an absolute path")
    if "@" in parts.netloc:
        what = f"{USERINFO.sub('***@', url)} carries a credential"
        raise GitError("GW-GIT-URL", what, fix="leave it out of the URL and set a token")
    return url


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"


def _basic(access: GitAccess) -> str:
    return base64.b64encode(f"{access.username}:{access.password}".encode()).decode()


def _secrets(access: GitAccess | None) -> tuple[str, ...]:
    return () if access is None or not access.password else (access.password, _basic(access))


def _site(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in PASSED if name in environ}
