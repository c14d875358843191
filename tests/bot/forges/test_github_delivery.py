"""X-Hub-Signature-256."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.forges.github_delivery import looks_signed, verify_github


def signed(secret: bytes, body: bytes) -> bytes:
    return b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode()


def test_githubs_published_example_verifies() -> None:
    """docs.github.com, validating webhook deliveries."""
    header = b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert verify_github([b"It's a Secret to Everybody"], b"Hello, World!", header)


@given(secrets=st.lists(st.binary(min_size=1), min_size=1, max_size=4), body=st.binary(), data=st.data())
def test_any_one_of_the_secrets_verifies(secrets: list[bytes], body: bytes, data: st.DataObject) -> None:
    assert verify_github(secrets, body, signed(data.draw(st.sampled_from(secrets)), body))


@given(body=st.binary(), header=st.binary())
def test_no_other_header_verifies_and_none_raises(body: bytes, header: bytes) -> None:
    assert not verify_github([b"secret"], body, header)


def test_no_secret_verifies_nothing() -> None:
    assert not verify_github([], b"x", signed(b"", b"x"))


@pytest.mark.parametrize(
    "header", [b"", b"sha256=", b"sha1=" + b"0" * 40, b"sha256=" + b"G" * 64, b"sha256=" + b"0" * 65, b"\xc3\xa9" * 36]
)
def test_what_cannot_be_a_signature_is_known_without_the_body(header: bytes) -> None:
    assert not looks_signed(header)
    assert not verify_github([b"secret"], b"", header)


def test_what_may_be_one_is_told_from_it() -> None:
    assert looks_signed(signed(b"k", b"body"))
