from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from bot.audit import kinds
from bot.audit.record import HARD_LIMIT, Fault, Record, RecordError, Ref, Who, data_of, decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
REFS = st.lists(
    st.builds(
        Ref, commit=st.text("0123456789abcdef", min_size=64, max_size=64),
        name=st.text("abcxyz", min_size=1, max_size=8), size=st.integers(0, 2**53 - 1),
    ),
    max_size=4, unique_by=lambda ref: ref.name,
)  # fmt: skip
RECORDS = st.builds(
    lambda path, op, attempt, refs, ts, outcome: Record(
        actor=Who("agent:sonnet", "author", "agent"),
        basis="claimed",
        data={"attempt": attempt, "op": op, "path": path},
        kind="file.change",
        outcome=outcome,
        prev="0" * 64,
        refs=tuple(sorted(refs, key=lambda ref: ref.name)),
        seq=3,
        task="42-k7f3qd",
        ts=ts,
        v=1,
    ),
    path=TEXT, op=TEXT, attempt=st.integers(0, 2**53 - 1), refs=REFS, ts=st.integers(0, 2**53 - 1),
    outcome=st.sampled_from(["ok", "fail", "denied", "timeout", "cancelled"]),
)  # fmt: skip

RECORD = Record(
    actor=Who("inst:gw", "service", "system"),
    basis="observed",
    data={"attempt": 10, "decision": "deny", "tool": "bash", "call": 1},
    kind="tool.call",
    outcome="ok",
    prev="0" * 64,
    refs=(Ref("1" * 64, "args", 3), Ref("2" * 64, "body", 4)),
    seq=0,
    task="42-k7f3qd",
    ts=5,
    v=1,
)
LINE = encode(RECORD)


@given(RECORDS)
def test_a_record_reads_back_as_it_was_written(record):
    assert decode(encode(record)) == record


@given(RECORDS)
def test_the_spelling_is_that_of_rfc_8785(record):
    assert encode(record) == rfc8785.dumps(msgspec.to_builtins(record))


@given(RECORDS)
def test_the_spelling_is_that_of_the_standard_library_too(record):
    spelled = json.dumps(msgspec.to_builtins(record), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert encode(record) == spelled.encode()


@given(RECORDS, st.data())
def test_white_space_anywhere_outside_strings_is_refused(record, data):
    line = encode(record)
    at = data.draw(st.sampled_from([0, 1, len(line) - 1, len(line)]))
    space = data.draw(st.sampled_from([b" ", b"\t", b"\r", b"\n"]))

    with pytest.raises(RecordError):
        decode(line[:at] + space + line[at:])


@given(st.binary(max_size=200))
def test_noise_is_refused_and_never_crashes(noise):
    with pytest.raises(RecordError):
        decode(noise)


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (LINE.replace(b'"attempt":10', b'"attempt":10,"attempt":10'), Fault.CANONICAL),  # case 10: duplicate key
        (LINE.replace(b'"bash"', rb'"\u0062ash"'), Fault.CANONICAL),  # case 11: escape variant
        (LINE.replace(b'"attempt":10', b'"attempt":10.0'), Fault.SCHEMA),  # case 12
        (LINE.replace(b'"seq":0', b'"seq":0.0'), Fault.SCHEMA),
        (LINE.replace(b'"attempt":10', b'"attempt":1e1'), Fault.SCHEMA),
        (LINE.replace(b'"attempt":10', b'"attempt":NaN'), Fault.PARSE),
        (LINE.replace(b'"attempt":10', b'"attempt":Infinity'), Fault.PARSE),
        (LINE.replace(b'"attempt":10', b'"attempt":9007199254740992'), Fault.SCHEMA),
        (LINE.replace(b'"attempt":10', b'"attempt":99999999999999999999'), Fault.SCHEMA),
        (LINE.replace(b'"ts":5', b'"ts":9007199254740992'), Fault.SCHEMA),
        (LINE.replace(b'"ts":5', b'"ts":-5'), Fault.SCHEMA),
        (LINE.replace(b'"seq":0', b'"seq":-0'), Fault.CANONICAL),
        (LINE.replace(b'"attempt":10', b'"attempt":true'), Fault.SCHEMA),
        (LINE.replace(b'"attempt":10', b'"attempt":[[[[[[[[[1]]]]]]]]]'), Fault.SCHEMA),
        (LINE.replace(b'"attempt":10', b'"attempt":' + b"[" * 50_000), Fault.PARSE),
        (LINE.replace(b'"bash"', b'"\xff"'), Fault.PARSE),  # case 15: no UTF-8
        (LINE.replace(b'"bash"', b'"\xed\xa0\x80"'), Fault.PARSE),  # case 15: an encoded surrogate
        (LINE.replace(b'"bash"', rb'"\ud800"'), Fault.PARSE),  # case 15: an escaped lone surrogate
        (LINE.replace(b'"v":1', b'"v":1,"w":1'), Fault.SCHEMA),  # case 13: unknown field
        (LINE.replace(b'"attempt":10', b'"attempt":10,"zz":1'), Fault.SCHEMA),  # case 13, in data
        (LINE.replace(b'"attempt":10', b'"Attempt":10'), Fault.SCHEMA),
        (LINE.replace(b'"v":1', b'"v":2'), Fault.SCHEMA),
        (LINE.replace(b"tool.call", b"tool.cull"), Fault.SCHEMA),
        (LINE.replace(b'"basis":"observed"', b'"basis":"hoped"'), Fault.SCHEMA),
        (LINE.replace(b'"inst:gw"', rb'"inst:gw\n"'), Fault.SCHEMA),
        (LINE.replace(b"42-k7f3qd", rb"42-k7f3qd\n"), Fault.SCHEMA),
        (LINE.replace(b"args", b"body"), Fault.CANONICAL),
        (LINE.replace(b'"name":"args"', b'"name":"zzzz"'), Fault.CANONICAL),
        (LINE.replace(b'"bash"', b'"' + b"x" * 257 + b'"'), Fault.SCHEMA),
        (LINE + b"\r", Fault.CANONICAL),  # case 9
        (LINE + b" ", Fault.CANONICAL),
        (b"\xef\xbb\xbf" + LINE, Fault.PARSE),
        (b"", Fault.PARSE),
        (b"null", Fault.SCHEMA),
        (LINE.replace(b'"bash"', b'"' + b"x" * 70_000 + b'"'), Fault.LIMIT),  # case 14
    ],
)
def test_a_line_that_is_not_the_one_spelling_of_a_valid_record_is_refused(bad, fault):
    assert bad != LINE
    with pytest.raises(RecordError) as refused:
        decode(bad)
    assert refused.value.fault is fault


@pytest.mark.parametrize("key", json.loads(LINE))
def test_each_of_the_eleven_keys_has_to_be_there(key):
    body = json.loads(LINE)
    del body[key]

    with pytest.raises(RecordError):
        decode(rfc8785.dumps(body))


def test_data_is_typed_by_its_kind():
    assert data_of(RECORD) == kinds.ToolCall(attempt=10, call=1, tool="bash", decision="deny")


def test_writing_refuses_a_line_beyond_the_hard_limit():
    refs = tuple(Ref("1" * 64, f"r{number:05d}", 1) for number in range(700))

    with pytest.raises(RecordError, match=str(HARD_LIMIT)):
        encode(msgspec.structs.replace(RECORD, refs=refs))


def test_writing_refuses_a_lone_surrogate():
    with pytest.raises(RecordError) as refused:
        encode(msgspec.structs.replace(RECORD, data={"tool": "\ud800"}))
    assert refused.value.fault is Fault.SCHEMA


def test_every_kind_is_described_and_closed():
    for name, shape in kinds.KINDS.items():
        assert shape.__doc__, name
        assert shape.__struct_config__.forbid_unknown_fields, name
    assert set(kinds.KINDS) >= kinds.WORKER_KINDS


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_the_types_of_every_kind_hold_the_profile(kind):
    """Text, truth values, null and whole numbers below 2^53, under plain keys; flat, save for a policy and a ruling."""
    shapes = list(leaves(msgspec.inspect.type_info(kinds.KINDS[kind])))
    assert shapes
    for name, shape in shapes:
        if isinstance(shape, msgspec.inspect.IntType):
            assert name.startswith("policy.") or shape.lt == 2**53 or shape.le is not None, name
            assert shape.ge is not None or shape.gt == -(2**53), name
        elif isinstance(shape, msgspec.inspect.StrType) and not name.startswith("policy."):
            assert shape.max_length or shape.pattern.endswith(r"\Z"), name


def leaves(shape: msgspec.inspect.Type, name: str = "") -> Iterator[tuple[str, msgspec.inspect.Type]]:
    """List what a record can hold, by dotted names."""
    match shape:
        case msgspec.inspect.Metadata(type=inner):
            yield from leaves(inner, name)
        case msgspec.inspect.StructType(fields=fields):
            for field in fields:
                assert re.fullmatch(r"[a-z0-9_]{1,64}", field.encode_name)
                yield from leaves(field.type, f"{name}.{field.encode_name}".lstrip("."))
        case msgspec.inspect.VarTupleType(item_type=item):
            yield from leaves(item, name)
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            yield from leaves(key, name)
            yield from leaves(value, name)
        case msgspec.inspect.UnionType(types=types):
            for one in types:
                yield from leaves(one, name)
        case (
            msgspec.inspect.IntType()
            | msgspec.inspect.StrType()
            | msgspec.inspect.BoolType()
            | msgspec.inspect.NoneType()
            | msgspec.inspect.EnumType()
            | msgspec.inspect.LiteralType()
        ):
            yield name, shape
        case _:
            pytest.fail(f"{name} holds {shape}")
