"""GitLab's two proofs."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.forges.gitlab_delivery import GitLabDelivery, signing_key, verify_signature
from bot.model.errors import UsageError

WHSEC = "whsec_" + base64.b64encode(b"k" * 32).decode()


@given(tokens=st.lists(st.text(min_size=1), min_size=1, max_size=3), given_=st.binary())
def test_a_token_is_exactly_one_of_ours(tokens: list[str], given_: bytes) -> None:
    try:
        known = [token.encode() for token in tokens]
    except UnicodeEncodeError:
        return
    scheme = GitLabDelivery(tokens, ())
    assert scheme.is_genuine({b"x-gitlab-token": given_}, b"") == (given_ in known)
    assert scheme.is_genuine({b"x-gitlab-token": known[-1]}, b"body")


def test_no_token_and_an_empty_one_admit_nobody() -> None:
    for tokens in ((), ("",)):
        scheme = GitLabDelivery(tokens, ())
        assert not scheme.is_armed
        assert not scheme.is_genuine({b"x-gitlab-token": b""}, b"")
        assert not scheme.is_genuine({}, b"")


def test_a_key_is_what_stands_in_base64_or_the_characters_themselves() -> None:
    assert signing_key(WHSEC) == b"k" * 32
    assert signing_key("a raw signing token of GitLab") == b"a raw signing token of GitLab"


@pytest.mark.parametrize("secret", ["whsec_", "whsec_***", "whsec_YQ==", "short", ""])
def test_a_key_that_is_none_is_refused_at_the_start(secret: str) -> None:
    with pytest.raises(UsageError) as refused:
        GitLabDelivery((), (secret,))
    assert refused.value.code == "GW-WEB-SIGNING-SECRET"


@pytest.mark.parametrize(("offset", "passes"), [(0, True), (-300, True), (300, True), (-301, False), (301, False)])
def test_five_minutes_either_way(offset: int, passes: bool) -> None:
    scheme = GitLabDelivery((), (WHSEC,))
    headers = {
        b"webhook-id": b"one",
        b"webhook-timestamp": str(1_760_000_000 + offset).encode(),
        b"webhook-signature": b"v1,AAAA",
    }
    assert scheme.may_be_genuine(headers, 1_760_000_000.0) is passes


@pytest.mark.parametrize("stamp", [b"", b"1e9", b"-1", b"9" * 40, b"\xd9\xa1"])
def test_a_time_that_is_none_is_refused(stamp: bytes) -> None:
    scheme = GitLabDelivery((), (WHSEC,))
    headers = {b"webhook-id": b"one", b"webhook-timestamp": stamp, b"webhook-signature": b"v1,AAAA"}
    assert not scheme.may_be_genuine(headers, 1.0)


@given(content=st.binary(), header=st.binary())
def test_no_other_signature_verifies_and_none_raises(content: bytes, header: bytes) -> None:
    assert not verify_signature([b"k" * 32], content, header)
    assert not verify_signature([], content, header)
