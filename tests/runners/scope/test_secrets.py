from __future__ import annotations

import pytest

from bot.model.policy import Policy
from runners.scope.findings import findings
from runners.scope.secrets import Content, Leak, exemptions, leaks, secret
from runners.scope.view import Rule
from tests.bot.audit.samples import LINES, TOKENS
from tests.runners.scope.parts import changed, new, paths, plan, said, view

TOKEN = TOKENS["github classic"].encode()
OTHER = TOKENS["gitlab personal"].encode()


def test_an_added_secret_is_named_by_place_and_kind_and_never_by_value() -> None:
    found = leaks([Content("a.py", b"x = 1\n", b"x = 1\ny = '" + TOKEN + b"'\n")])
    assert found == (Leak("a.py", 2, "github-token"),)
    assert str(found[0]) == "a.py line 2: github-token"


def test_what_was_there_before_or_moved_is_none() -> None:
    there = b"a\n" + TOKEN + b"\n"
    assert leaks([Content("a", there, b"b\n" + there)]) == ()
    assert leaks([Content("a", there), Content("b", b"", there)]) == ()
    assert leaks([Content("a", there, there + OTHER)]) == (Leak("a", 3, "gitlab-token"),)


def test_a_secret_in_a_name_is_found_and_the_name_is_not_said() -> None:
    (found,) = leaks([Content(f"keys/{TOKEN.decode()}.txt", is_new=True)])
    assert found == Leak("keys/[redacted:github-token].txt", 0, "a secret in its name")


def test_binary_content_is_looked_at_too() -> None:
    assert leaks([Content("a.bin", b"", b"\0\xff" + TOKEN + b"\0")]) == (Leak("a.bin", 1, "github-token"),)


def test_an_exemption_covers_paths_and_kinds_and_never_what_the_server_knows() -> None:
    exempt = exemptions({"allow": ["tests/**:github-token", "docs/**:*"]})
    content = b"\n".join([TOKEN, OTHER, b"s3rver-own-word"])
    places = [Content(path, b"", content) for path in ("tests/fix/a", "docs/a", "src/a")]
    found = leaks(places, exempt, ["s3rver-own-word"])
    assert [(leak.path, leak.kind) for leak in found] == [
        ("tests/fix/a", "gitlab-token"), ("tests/fix/a", "secret"), ("docs/a", "secret"),
        ("src/a", "github-token"), ("src/a", "gitlab-token"), ("src/a", "secret"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "table", [[], {"allow": "a:b"}, {"allow": [1]}, {"allow": ["nokind"]}, {"allow": [":x"]}, {"allow": ["x:"]}]
)
def test_an_exemption_that_cannot_be_read_is_an_error(table: object) -> None:
    with pytest.raises(ValueError, match=r"allow|glob:kind"):
        exemptions(table)


def test_a_persons_push_becomes_a_finding_of_the_scope() -> None:
    line, value = LINES["python"]
    change = view(new("calc.py", f"x\n{line}\n"), changed("b.py", "", "x = 1\n"))
    assert said(secret(change)) == "assigned-secret in line 2"
    assert paths(secret(change)) == ["calc.py"]
    (found,) = findings(change, plan("calc.py", "b.py"), Policy())
    assert found.rule is Rule.SECRET
    assert value not in repr(found)
    assert findings(change, plan("calc.py", "b.py"), Policy(), exemptions({"allow": ["calc.py:*"]})) == ()
