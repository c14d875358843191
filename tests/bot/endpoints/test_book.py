"""The file of endpoints: private, whole, and refused when it is neither."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.endpoints.book import SIZE_MAX, changing, read
from bot.endpoints.vault import Entry
from bot.model.errors import GatewrightError
from tests.conftest import ROOT

ENTRY = Entry("https://gpu-1.example/v1", 5, "gAAA")
# Adds endpoints one after another, as a person in a hurry with several terminals does.
ADDER = """
import sys, pathlib
from bot.endpoints.book import changing
from bot.endpoints.vault import Entry
for n in range(20):
    with changing(pathlib.Path(sys.argv[1])) as entries:
        entries[f"{sys.argv[2]}-{n}"] = Entry("https://h/v1", n, "x")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "endpoints.json"


def put(path: Path, **entries: Entry) -> None:
    with changing(path) as found:
        found.update(entries)


def code(path: Path) -> str:
    with pytest.raises(GatewrightError) as caught:
        read(path)
    assert (caught.value.what + caught.value.why.replace("\n", "")).isprintable()
    return caught.value.code


def test_what_is_written_is_read_and_nobody_else_may(path):
    assert read(path) == {}
    put(path, gpu=ENTRY)
    assert read(path) == {"gpu": ENTRY}
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_change_that_fails_changes_nothing(path):
    put(path, gpu=ENTRY)
    before = path.read_bytes(), path.stat().st_ino
    with pytest.raises(KeyError), changing(path) as entries:
        del entries["gpu"], entries["unknown"]
    with changing(path) as entries:
        assert entries.pop("unknown", None) is None
    assert (path.read_bytes(), path.stat().st_ino) == before


def test_the_file_is_replaced_as_a_whole(path):
    put(path, gpu=ENTRY)
    with path.open("rb") as held:
        put(path, other=ENTRY)
        assert b"other" not in held.read(), "who reads while it is changed reads the old one, whole"
    assert set(read(path)) == {"gpu", "other"}


def test_two_at_a_time_lose_nothing(path):
    adders = [subprocess.Popen([sys.executable, "-c", ADDER, str(path), who], cwd=ROOT) for who in ("a", "b")]
    assert [each.wait(60) for each in adders] == [0, 0]
    assert len(read(path)) == 40


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_file_that_others_may_open_is_refused(path, mode):
    put(path, gpu=ENTRY)
    path.chmod(mode)
    assert code(path) == "GW-ENDPOINT-MODE"


def test_a_torn_file_is_refused_wherever_it_is_torn(path):
    put(path, gpu=ENTRY)
    whole = path.read_bytes().rstrip()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert code(path) == "GW-ENDPOINT-FILE"


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe", b"[]", b'{"schema": "gatewright/endpoints/v2", "endpoints": {}}', b"[" * 100_000,
        b'{"schema": "gatewright/endpoints/v1", "endpoints": {"gpu": {"base_url": 1, "added_ms": 1, "sealed": ""}}}',
        b'{"schema": "gatewright/endpoints/v1", "endpoints": {"gpu": {"base_url": "https://h", "key": "sk"}}}',
        (
            b'{"schema": "gatewright/endpoints/v1", "endpoints": {"a\\u001b[2J": '
            b'{"base_url": "https://h", "added_ms": 1, "sealed": ""}}}'
        ),
        b" " * (SIZE_MAX + 1),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused(path, content):
    put(path, gpu=ENTRY)
    path.write_bytes(content)
    assert code(path) == "GW-ENDPOINT-FILE"


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_regular_file_is_not_followed(path, tmp_path, kind):
    put(tmp_path / "real.json", gpu=ENTRY)
    path.parent.mkdir()
    match kind:
        case "link":
            path.symlink_to(tmp_path / "real.json")
        case "folder":
            path.mkdir(0o700)
        case _:
            os.mkfifo(path, 0o600)
    assert code(path) == "GW-ENDPOINT-FILE"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for somebody else")
def test_what_root_adds_belongs_to_the_service(path):
    path.parent.mkdir()
    os.chown(path.parent, 64_321, 64_321)
    put(path, gpu=ENTRY)
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (64_321, 0o600)


def test_where_there_can_be_no_file_there_is_none(tmp_path: Path) -> None:
    """A state directory that is a file is named by those who have to write there."""
    (tmp_path / "file").write_text("")
    assert read(tmp_path / "file" / "endpoints.json") == {}
