"""The core of this suite once more, with a worker that is no root: a user of the test's own making.

The whole suite runs as whoever starts it. Where that is root, this runs these files as somebody else.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from runners.workspace.reach import blocked
from tests.conftest import ROOT, missing
from tests.runners.workspace.kit import OWNER

CORE = ("test_git.py", "test_git_state.py", "test_paths.py", "test_reach.py", "test_tokens.py")
LEAST = 120  # tests that must have passed: an empty run proves nothing


def interpreter(user: int) -> str:
    """Find a Python of this version that another user may start."""
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}", "/usr/bin/python3"):
        path = Path(candidate).resolve()
        if path.exists() and f"python3.{sys.version_info.minor}" in path.name and blocked(path, user) is None:
            return candidate
    missing("a Python that other users may start")
    raise AssertionError


@pytest.mark.usefixtures("_jails")
@pytest.mark.skipif(OWNER is None, reason="the whole suite runs as an ordinary user already")
@pytest.mark.timeout(900)
def test_the_attacks_fail_for_an_ordinary_user_as_well(place: Path) -> None:
    user = 400_000 + secrets.randbelow(100_000)
    if blocked(ROOT / "bot", user) is not None:
        missing("a checkout that other users may read")
    home = place / "home"
    home.mkdir()
    os.chown(home, user, user)
    paths = os.pathsep.join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))])
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": paths,
        "PYTHONDONTWRITEBYTECODE": "1", "CI": os.environ.get("CI", ""),
    }  # fmt: skip
    home.chmod(0o711)
    done = subprocess.run(
        [
            "setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", interpreter(user), "-m", "pytest",
            "-q", "-p", "no:cacheprovider", f"--basetemp={home}/base", *(f"tests/attacks/{name}" for name in CORE),
        ],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-1_000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= LEAST
