from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit import kinds
from bot.audit.chain import ChainError, Draft, Link, digest, extend, genesis, walk
from bot.audit.record import Fault, RecordError, Ref, Who, decode

WHO = Who("inst:gw", "service", "system")
START = genesis("gw", "github:github.com:7", "1-abcdef")


def pause(*, on: bool = True) -> Draft:
    return Draft("pause", kinds.Pause(on=on), WHO)


def chain_of(count: int) -> list[bytes]:
    return extend(Link(-1, START), [pause(on=n % 2 == 0) for n in range(count)], task="1-abcdef", now_ms=1)[0]


def test_genesis_is_the_domain_separated_hash_of_whose_journal_it_is():
    body = b'{"instance":"gw","repo":"github:github.com:7","task":"1-abcdef"}'

    assert hashlib.sha256(b"gatewright/audit/v1/genesis\n" + body).hexdigest() == START


def test_a_record_names_the_domain_separated_hash_of_the_line_before():
    first, second = chain_of(2)

    assert decode(second).prev == hashlib.sha256(b"gatewright/audit/v1/record\n" + first).hexdigest() == digest(first)


@given(st.lists(st.booleans(), max_size=8), st.integers(0, 8))
def test_extending_in_parts_gives_the_same_chain_as_at_once(flags, cut):
    drafts = [pause(on=flag) for flag in flags]
    at_once, tail = extend(Link(-1, START), drafts, task="1-abcdef", now_ms=7)
    before, middle = extend(Link(-1, START), drafts[:cut], task="1-abcdef", now_ms=7)
    after, end = extend(middle, drafts[cut:], task="1-abcdef", now_ms=7)

    assert before + after == at_once
    assert end == tail
    assert [record.seq for record, _ in walk(at_once, START)] == list(range(len(flags)))


@given(st.integers(1, 6), st.data())
def test_any_change_of_order_or_number_is_named(count, data):
    lines = chain_of(count)
    other = data.draw(st.lists(st.sampled_from(lines), max_size=8).filter(lambda some: some != lines[: len(some)]))

    with pytest.raises(ChainError):
        list(walk(other, START))


def test_a_changed_record_is_named_and_not_its_follower():
    lines = chain_of(4)
    lines[1] = lines[1].replace(b'"on":false', b'"on":true')

    with pytest.raises(ChainError) as broken:
        list(walk(lines, START))
    assert broken.value.seq == 1
    assert broken.value.expected == decode(lines[2]).prev
    assert broken.value.found == digest(lines[1])


def test_a_journal_that_begins_elsewhere_is_refused():
    with pytest.raises(ChainError, match="genesis"):
        list(walk(chain_of(2), genesis("gw", "github:github.com:8", "1-abcdef")))


def test_a_record_of_another_task_does_not_fit_even_when_chained():
    lines, tail = extend(Link(-1, START), [pause()], task="1-abcdef", now_ms=1)
    more, _ = extend(tail, [pause()], task="2-abcdef", now_ms=1)

    with pytest.raises(ChainError, match="another task"):
        list(walk(lines + more, START))


def test_refs_are_put_in_order():
    draft = Draft("pause", kinds.Pause(on=True), WHO, refs=(Ref("1" * 64, "z", 1), Ref("2" * 64, "a", 2)))
    lines, _ = extend(Link(-1, START), [draft], task="1-abcdef", now_ms=1)

    assert [ref.name for ref in decode(lines[0]).refs] == ["a", "z"]


@pytest.mark.parametrize(
    "draft",
    [
        Draft("pause", kinds.Pause(on="yes"), WHO),  # type: ignore[arg-type]
        Draft("approval", kinds.Pause(on=True), WHO),
        Draft("nonsense", kinds.Pause(on=True), WHO),
        Draft("pause", kinds.Pause(on=True), Who("Tom", "requester", "human")),
        Draft("pause", kinds.Pause(on=True), WHO, refs=(Ref("1" * 64, "a", 1), Ref("2" * 64, "a", 1))),
    ],
)
def test_nothing_is_written_that_could_not_be_read_back(draft):
    with pytest.raises(RecordError):
        extend(Link(-1, START), [draft], task="1-abcdef", now_ms=1)


def test_long_lines_belong_in_blobs():
    refs = tuple(Ref("1" * 64, f"r{number:04d}", 1) for number in range(200))

    with pytest.raises(RecordError) as refused:
        extend(Link(-1, START), [Draft("pause", kinds.Pause(on=True), WHO, refs=refs)], task="1-abcdef", now_ms=1)
    assert refused.value.fault is Fault.LIMIT
