"""A small sealed task, byte by byte and bit by bit: whatever is changed in its folder, the verdict is another."""

from __future__ import annotations

import functools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.audit import keys, kinds, note, statement
from bot.audit.sheet import Verdict
from bot.audit.trust import load
from bot.audit.verify import Terms
from tests.bot.audit.signed import SignedStory, judged

JOURNAL = "audit/0000.jsonl"
FILES = (
    ".gitattributes", "audit/.gitattributes", JOURNAL, "audit/key.note", "audit/seal.dsse.json",
    *(f"audit/checkpoints/{size:010d}.note" for size in (1, 2, 3)),
    *(f"audit/proofs/{size:010d}.tlog-proof" for size in (1, 2, 3)),
)  # fmt: skip


class Small(SignedStory):
    """Three records: opened, closed, sealed."""

    def opened(self) -> None:
        whole = self.add
        self.add = lambda kind, *rest, **more: whole(kind, *rest, **more) if kind == "task.opened" else None
        super().opened()
        self.add = whole

    def tell(self) -> Small:
        self.opened()
        self.add("task.closed", kinds.TaskClosed("cancelled", "stopped"))
        self.close()
        return self


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> SignedStory:
    return Small(tmp_path_factory.mktemp("small")).tell()


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> SignedStory:
    """Another instance's task of the same name."""
    return Small(tmp_path_factory.mktemp("other")).tell()


@pytest.fixture(scope="module")
def by(small) -> Terms:
    return Terms(load(small.trust_file()))


@pytest.fixture(autouse=True)
def remembered(monkeypatch):
    """Verify each signature over each message once: most of a changed folder is unchanged. The verifying is real."""
    verify = functools.lru_cache(maxsize=None)(keys.verify)
    for module in (note, statement):
        monkeypatch.setattr(module, "verify", verify)


def flips(raw: bytes):
    for at in range(len(raw)):
        for bit in range(8):
            yield raw[:at] + bytes([raw[at] ^ (1 << bit)]) + raw[at + 1 :], f"byte {at} bit {bit}"


def is_caught(verdict: Verdict) -> bool:
    return verdict.exit_code != 0 and bool(verdict.findings)


def test_it_is_whole_and_nothing_is_left_out(small, by):
    verdict = judged(small.files(), by=by)

    assert (verdict.exit_code, verdict.level, verdict.findings) == (0, "L4", ())
    assert set(small.files()) == set(FILES)


@pytest.mark.parametrize("path", FILES)
def test_every_single_bit_counts(small, by, path):
    files = small.files()

    missed = [where for raw, where in flips(files[path]) if not is_caught(judged(files | {path: raw}, by=by))]

    assert missed == []


@pytest.mark.parametrize("path", FILES)
def test_cut_at_every_byte(small, by, path):
    files = small.files()
    missed = [at for at in range(len(files[path])) if not is_caught(judged(files | {path: files[path][:at]}, by=by))]

    assert missed == []


@pytest.mark.parametrize("path", [path for path in FILES if "gitattributes" not in path])
def test_a_file_taken_away_or_from_another_task(small, other, by, path):
    files = small.files()

    assert is_caught(judged({name: raw for name, raw in files.items() if name != path}, by=by))
    assert is_caught(judged(files | {path: other.files()[path]}, by=by))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_edited(small, other, by, data):
    """Bytes changed, put in and taken out, files swapped within the task and with another, names made up."""
    files = dict(small.files())
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(FILES))
        raw = files.get(path, b"")
        at = data.draw(st.integers(0, len(raw)))
        match data.draw(st.sampled_from(["change", "insert", "delete", "swap", "foreign", "repeat", "plant"])):
            case "change":
                files[path] = raw[:at] + data.draw(st.binary(min_size=1, max_size=4)) + raw[at + 1 :]
            case "insert":
                files[path] = raw[:at] + data.draw(st.binary(min_size=1, max_size=9)) + raw[at:]
            case "delete":
                files[path] = raw[:at] + raw[at + data.draw(st.integers(1, 40)) :]
            case "swap":
                with_ = data.draw(st.sampled_from(FILES))
                files[path], files[with_] = files.get(with_, b""), raw
            case "foreign":
                files[path] = other.files()[path]
            case "repeat":
                files[path] = raw + raw[at:]
            case _:
                files["audit/" + data.draw(st.text("abc./0", min_size=1, max_size=8))] = raw
    if files != small.files():
        assert is_caught(judged(files, by=by))
