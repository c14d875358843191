"""What all tests share: where the data lies, and that nothing leaves this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def missing(what: str) -> None:
    """Skip with the reason; in CI a missing part is a failure, never a skip."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and CI must not hide that")
    pytest.skip(what)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real payloads, contracts and hostile deliveries (GATEWRIGHT_TEST_DATA)."""
    folder = Path(os.environ.get("GATEWRIGHT_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "forges").is_dir():
        missing(f"test data folder {folder} (set GATEWRIGHT_TEST_DATA)")
    return folder


def pytest_runtest_setup() -> None:
    """Close every socket save loopback and unix ones."""
    from pytest_socket import socket_allow_hosts

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
