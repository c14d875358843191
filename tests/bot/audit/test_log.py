"""The log on disk: what is in it stays, what was cut short is said, and a folder beside the true one is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from bot.audit import log as module
from bot.audit import merkle
from bot.audit.keys import InstanceKey
from bot.audit.log import PER_FILE, Head, Log, LogError, newest, read
from bot.audit.note import Checkpoint, Note
from tests.conftest import ROOT

KEY = InstanceKey.generate()


def lines(count: int, start: int = 0) -> list[bytes]:
    return [b'{"entry":%d}' % number for number in range(start, start + count)]


def signed(log: Log, origin: str = "bank") -> Note:
    head = log.head
    return Note.sign(str(Checkpoint(origin, head.size, head.root)), origin, KEY.public, KEY)


def filled(folder: Path, count: int) -> Head:
    """Write a log, sign it, let go of it."""
    log = Log.open(folder)
    log.append(lines(count))
    log.publish(signed(log))
    log.close()
    return log_head(folder)


def log_head(folder: Path) -> Head:
    log = Log.open(folder)
    log.close()
    return Head(log._nodes.tree.size, log._nodes.tree.root())


def refused(folder: Path, code: str, remembered: Head | None = None) -> LogError:
    with pytest.raises(LogError) as caught:
        Log.open(folder, remembered)
    assert caught.value.code == code
    return caught.value


def test_entries_lie_a_thousand_a_file_and_come_back_in_order(tmp_path: Path):
    log = Log.open(tmp_path)
    wanted = lines(2 * PER_FILE + 5)
    assert [log.append(wanted[:3]), log.append(wanted[3:1500]), log.append(wanted[1500:])] == [0, 3, 1500]
    log.publish(signed(log))
    log.close()
    names = sorted(path.name for path in (tmp_path / "entries").iterdir())
    assert names == ["000000.jsonl", "000001.jsonl", "000002.jsonl"]
    assert list(read(tmp_path)) == wanted
    assert log_head(tmp_path) == Head(len(wanted), merkle.root(wanted))
    note = newest(tmp_path)
    assert note is not None
    assert bytes(note) == (tmp_path / "checkpoints" / "0000002005.note").read_bytes()
    assert Checkpoint.parse(note.text).root == merkle.root(wanted)


def test_proofs_hold_and_a_proof_of_something_else_is_not_made(tmp_path: Path):
    log = Log.open(tmp_path)
    wanted = lines(1_003)
    log.append(wanted)
    head = signed(log)
    root = Checkpoint.parse(head.text).root
    for index in (0, 1, 999, 1_000, 1_002):
        proof = log.proof(index, wanted[index], head)
        assert merkle.is_included(wanted[index], proof.index, 1_003, proof.hashes, root)
    with pytest.raises(LogError, match="entry 5"):
        log.proof(5, wanted[6], head)
    log.append([b"more"])
    assert merkle.is_consistent(1_003, root, 1_004, log.head.root, log.consistency(1_003, 1_004))
    assert log.find([wanted[7], b"more", b"none"]) == {wanted[7]: 7, b"more": 1_003}
    log.close()


def test_a_second_writer_is_kept_out_until_the_first_has_gone(tmp_path: Path):
    log = Log.open(tmp_path)
    refused(tmp_path, "GW-LOG-BUSY")
    log.close()
    Log.open(tmp_path).close()


@pytest.mark.parametrize("torn", [b"{", b'{"entry":3}', b"\xff" * 70_000, b"x" * (1 << 20) + b"y"])
def test_a_last_line_that_was_cut_short_is_cut_off_and_said(tmp_path: Path, torn: bytes):
    head = filled(tmp_path, 3)
    with (tmp_path / "entries/000000.jsonl").open("ab") as file:
        file.write(torn)
    log = Log.open(tmp_path, head)
    assert log.torn is not None
    assert (log.torn.size, log.torn.sha256) == (len(torn), module.sha256(torn).hexdigest())
    assert log.append([b"next"]) == 3
    log.close()
    assert list(read(tmp_path)) == [*lines(3), b"next"]


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_log_cut_anywhere_is_refused_once_its_head_was_signed(tmp_path: Path, cut: int):
    filled(tmp_path, 3)
    path = tmp_path / "entries/000000.jsonl"
    os.truncate(path, path.stat().st_size - min(cut, path.stat().st_size))
    refused(tmp_path, "GW-LOG-BEHIND")


def test_every_bit_of_a_signed_log_counts(tmp_path: Path):
    filled(tmp_path, 3)
    path = tmp_path / "entries/000000.jsonl"
    whole = path.read_bytes()
    for at in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
            with pytest.raises(LogError) as caught:
                Log.open(tmp_path)
            assert caught.value.code in ("GW-LOG-BESIDE", "GW-LOG-BEHIND", "GW-LOG-GAP")
            path.write_bytes(whole)
    Log.open(tmp_path).close()


def test_a_folder_behind_or_beside_what_is_remembered_is_refused(tmp_path: Path):
    head = filled(tmp_path / "a", 5)
    filled(tmp_path / "b", 4)
    refused(tmp_path / "b", "GW-LOG-BEHIND", head)
    refused(tmp_path / "none", "GW-LOG-BEHIND", head)
    log = Log.open(tmp_path / "c")
    log.append(lines(6, start=100))
    log.close()
    refused(tmp_path / "c", "GW-LOG-BESIDE", head)
    ahead = Log.open(tmp_path / "a", Head(4, merkle.root(lines(4))))  # what a crash leaves: logged, not yet remembered
    ahead.close()


def test_a_head_that_is_not_this_logs_is_not_published(tmp_path: Path):
    filled(tmp_path, 3)
    log = Log.open(tmp_path)
    with pytest.raises(LogError, match="another one"):
        log.publish(Note.sign(str(Checkpoint("bank", 2, bytes(32))), "bank", KEY.public, KEY))
    log.close()
    (tmp_path / "checkpoint").write_bytes(b"words\n")
    refused(tmp_path, "GW-LOG-CHECKPOINT")


@pytest.mark.parametrize("name", ["000000.jsonl", "000001.jsonl"])
def test_a_missing_file_is_a_gap(tmp_path: Path, name: str):
    log = Log.open(tmp_path)
    log.append(lines(2 * PER_FILE + 1))
    log.close()
    (tmp_path / "entries" / name).unlink()
    refused(tmp_path, "GW-LOG-GAP")


def test_a_disk_that_is_full_loses_nothing_and_pretends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = Log.open(tmp_path)
    log.append(lines(3))
    monkeypatch.setattr(module.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        log.append([b"lost"])
    monkeypatch.undo()
    assert log.append([b"kept"]) == 3
    log.close()
    assert list(read(tmp_path)) == [*lines(3), b"kept"]


WRITER = """
import os, sys
from pathlib import Path
from bot.audit.log import Log
log = Log.open(Path(sys.argv[1]))
number = log.head.size
while True:
    log.append([b'{"entry":%d}' % number])
    number += 1
    print(number, flush=True)
"""


@pytest.mark.parametrize("after", [1, 37, 120])
def test_what_was_answered_is_there_after_a_kill(tmp_path: Path, after: int):
    child = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, cwd=ROOT)
    answered = 0
    while answered < after:
        answered = int(child.stdout.readline())
    child.kill()
    rest = child.stdout.read().split()
    child.wait()
    child.stdout.close()
    answered = int(rest[-1]) if rest else answered
    log = Log.open(tmp_path)
    log.close()
    kept = list(read(tmp_path))
    assert answered <= len(kept) <= answered + 1
    assert kept == lines(len(kept))


def test_a_hundred_thousand_entries_take_no_more_memory_than_ten_thousand(tmp_path: Path):
    def peak(count: int) -> int:
        folder = tmp_path / str(count)
        log = Log.open(folder)
        for start in range(0, count, 500):
            log.append(lines(500, start))
        log.close()
        tracemalloc.start()
        again = Log.open(folder)
        again.proof(count // 3, lines(1, count // 3)[0], signed(again))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        again.close()
        return found

    few, many = peak(10_000), peak(100_000)
    assert many < few + 65_536, (few, many)
