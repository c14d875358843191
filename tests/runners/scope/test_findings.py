from __future__ import annotations

import hashlib

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bot.model.policy import Policy
from runners.scope.findings import MOST, digest, findings
from runners.scope.view import Finding, Rule
from tests.bot.audit.samples import TOKENS
from tests.runners.scope.parts import changed, gone, new, plan, view

FOUND = st.builds(Finding, st.sampled_from(list(Rule)), st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))


def test_a_change_within_its_plan_has_none() -> None:
    change = view(changed("calc.py", "a = 1\n", "a = 2\n"), new("tests/test_calc.py", "assert True\n"))
    assert findings(change, plan("calc.py", "tests"), Policy()) == ()


def test_every_rule_is_asked() -> None:
    change = view(
        new("Makefile", "curl https://evil.io\ngit config core.hooksPath x\n"),
        new("Dockerfile"), new("CLAUDE.md"), new(".husky/x", mode="100755"), new("web/.github/a"),
        changed("requirements.txt", "", "six\n"), gone("tests/test_a.py"), new(".github/workflows/a.yml"),
        changed("tests/test_b.py", "assert a\n", ""), new("lib", "", mode="160000"), new("x", "", is_readable=False),
        new("k.py", TOKENS["jwt"]), new("m.py", "p\u0430y = 1\n"), new("h.py", "a\u202e\n", lines=9_999),
    )  # fmt: skip
    found = findings(change, plan("calc.py"), Policy())
    assert {finding.rule for finding in found} == set(Rule) - {Rule.MORE}


def test_findings_do_not_depend_on_the_order_of_files() -> None:
    files = [new("b.py"), new("a.py"), new("Makefile")]
    forth, back = (findings(view(*order), plan(), Policy()) for order in (files, files[::-1]))
    assert forth == back


def test_a_flood_is_cut_and_still_bound_whole() -> None:
    def found(last: str) -> tuple[Finding, ...]:
        files = [new(f"f{n:04}.py") for n in range(MOST + 50)]
        return findings(view(*files[:-1], new(files[-1].path, last)), plan(), Policy(max_diff_files=10_000))

    one, other = found("one"), found("other")
    assert len(one) == len(other) == MOST
    assert (one[-1].rule, one[-1].detail) == (Rule.MORE, "51 more findings")
    assert digest(one) != digest(other)


def test_the_digest_is_over_its_domain_and_canonical_json() -> None:
    found = Finding(Rule.CI, ".gitlab-ci.yml", "changed", "1" * 64)
    body = b'[{"detail":"changed","path":".gitlab-ci.yml","rule":"ci","sha256":"' + b"1" * 64 + b'"}]'
    assert digest([found]) == hashlib.sha256(b"gatewright/scope/v1\n" + body).hexdigest()


@given(st.lists(FOUND, max_size=6), st.randoms())
def test_the_digest_ignores_order_and_nothing_else(found: list[Finding], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert digest(shuffled) == digest(found)
    assert digest([*found, Finding(Rule.CI, "one more")]) != digest(found)
    again = msgspec.json.decode(msgspec.json.encode(found), type=list[Finding])
    assert digest(again) == digest(found)
