"""A person's own clone: real git over HTTP, with their token and their address on the commits."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path


def push(  # noqa: PLR0917 - what a person has in hand when they push
    url: str, token: str, branch: str, files: Mapping[str, str | bytes | None], name: str, address: str, message: str
) -> str:
    """Commit files (None deletes one) on top of a branch, push it and return the commit; a new one begins at HEAD."""
    with tempfile.TemporaryDirectory(prefix="clone-") as place:
        git = _Git(Path(place), token, name, address)
        git("clone", "--quiet", url, ".")
        known = git("branch", "--remotes", "--list", f"origin/{branch}")
        git("switch", "--quiet", *((branch,) if known else ("--create", branch)))
        for path, content in files.items():
            file = Path(place) / path
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        git("add", "--all")
        git("commit", "--quiet", "--message", message)
        git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return git("rev-parse", "HEAD")


class _Git:
    def __init__(self, place: Path, token: str, name: str, address: str) -> None:
        secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        who = {f"GIT_{role}_NAME": name for role in ("AUTHOR", "COMMITTER")}
        who |= {f"GIT_{role}_EMAIL": address for role in ("AUTHOR", "COMMITTER")}
        settings = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader"}
        self._place = place
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {secret}",
        } | settings | who  # fmt: skip

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            ("git", *words), cwd=self._place, env=self._env, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise AssertionError(f"git {words[0]}: {done.stderr}")
        return done.stdout.strip()
