"""Fetch branches and audit refs of a repository that somebody else keeps, into a bare one of our own.

Nothing but objects and refs is taken over: no settings, no hooks, no credentials, no question to anybody.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from bot.audit.objects import ENVIRONMENT
from bot.audit.place import NoEvidence

ADDRESS: Final = re.compile(r"(?:https|ssh|file)://[!-~]+|[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[!-~]+")
REFS: Final = ("+refs/heads/*:refs/heads/*", "+refs/gatewright/*:refs/gatewright/*")
TIMEOUT_S: Final = 900
SETTINGS: Final = (
    "protocol.allow=never", "protocol.https.allow=always", "protocol.ssh.allow=always", "protocol.file.allow=always",
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "credential.helper=", "fetch.fsckObjects=true",
    "fetch.recurseSubmodules=false", "http.followRedirects=initial", "gc.auto=0", "maintenance.auto=false",
)  # fmt: skip


def is_address(text: str) -> bool:
    """Tell whether this is an address, not a path."""
    return ADDRESS.fullmatch(text) is not None


def fetch(address: str, git_dir: Path) -> Path:
    """Fetch what evidence may lie in; raise NoEvidence with git's own words where that fails."""
    _git(git_dir.parent, "init", "-q", "--bare", "--template=", str(git_dir))
    _git(git_dir, "fetch", "-q", "--no-tags", "--no-write-fetch-head", "--", address, *REFS)
    head = _git(git_dir, "ls-remote", "--symref", "--", address, "HEAD")
    found = re.search(r"^ref: (refs/heads/[!-~]+)\tHEAD$", head, re.MULTILINE)
    if found:
        _git(git_dir, "symbolic-ref", "HEAD", found[1])
    return git_dir


def _git(where: Path, *arguments: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    own = {"GIT_ALLOW_PROTOCOL": "https:ssh:file", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true",
           "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}  # fmt: skip
    settings = [part for setting in SETTINGS for part in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", *settings, *arguments],
            cwd=where,
            env=kept | ENVIRONMENT | own,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed(f"it took longer than {TIMEOUT_S} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise _failed(lines[-1][:300] if lines else f"git ended with {done.returncode}")
    return done.stdout.decode(errors="replace")


def _failed(why: str) -> NoEvidence:
    return NoEvidence(
        "GW-AUDIT-FETCH", "the repository cannot be fetched", why=why,
        fix="where it asks for a password: git clone --mirror it yourself, and verify the clone",
    )  # fmt: skip
