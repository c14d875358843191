from __future__ import annotations

import hashlib
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit.blobs import BlobError, Blobs


@given(content=st.binary(max_size=300))
def test_what_is_put_can_be_got_by_its_name(tmp_path_factory, content):
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))
    name = blobs.put(content)

    assert blobs.has(name)
    assert blobs.get(name) == content


def test_a_name_is_one_hash_over_a_fresh_salt_and_the_content(tmp_path):
    blobs = Blobs(tmp_path / "deep" / "blobs")
    first, second = blobs.put(b"yes"), blobs.put(b"yes")

    assert first != second
    stored = blobs.path(first).read_bytes()
    assert stored[32:] == b"yes"
    assert hashlib.sha256(b"gatewright/audit/v1/blob\n" + stored).hexdigest() == first
    assert blobs.path(first) == tmp_path / "deep" / "blobs" / first[:2] / first
    assert [path.name for path in blobs.path(first).parent.iterdir()] == [first]


@pytest.mark.parametrize(("mode", "directory"), [(0o600, 0o700), (0o640, 0o750)])
def test_only_those_that_the_mode_names_may_read(tmp_path, mode, directory):
    blobs = Blobs(tmp_path / "blobs", mode)
    path = blobs.path(blobs.put(b"secret"))

    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert stat.S_IMODE(path.parent.stat().st_mode) == directory
    assert stat.S_IMODE(blobs.root.stat().st_mode) == directory


@pytest.mark.parametrize("at", [0, 31, 32, -1])
def test_an_altered_blob_is_refused(tmp_path, at):
    blobs = Blobs(tmp_path)
    name = blobs.put(b"content")
    stored = bytearray(blobs.path(name).read_bytes())
    stored[at] ^= 1
    blobs.path(name).write_bytes(stored)

    with pytest.raises(BlobError) as refused:
        blobs.get(name)
    assert refused.value.code == "GW-AUDIT-BLOB-ALTERED"


def test_a_missing_blob_says_what_to_do(tmp_path):
    with pytest.raises(BlobError) as refused:
        Blobs(tmp_path).get("0" * 64)
    assert refused.value.code == "GW-AUDIT-BLOB-MISSING"
    assert refused.value.fix


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 63, "G" * 64, "0" * 64 + "\n", "A" * 64])
def test_a_name_that_is_no_commitment_never_becomes_a_path(tmp_path, name):
    with pytest.raises(ValueError, match="not a commitment"):
        Blobs(tmp_path).get(name)
