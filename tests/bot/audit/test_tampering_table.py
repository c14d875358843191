"""The whole catalogue of tampering, by our verifier: each is caught at the layer named, or named as out of reach."""

from __future__ import annotations

import msgspec
import pytest

from bot.audit import population
from bot.audit.blobs import Blobs
from bot.audit.verify import verify
from tests.bot.audit.cases import CASES, UNPROVEN, Case, Subject, Unproven, bare


def judged(subject: Subject, case: Case):
    by = subject.terms(max(case.level, 1))
    if case.number == 48:
        by = msgspec.structs.replace(by, blobs=Blobs(subject.path.parents[1] / "blobs"))
    return verify(subject.path, rev=subject.rev, by=by)[0]


def test_the_table_has_every_number():
    assert {case.number for case in CASES} == set(range(1, 64))
    assert [case.number for case in UNPROVEN] == list(range(64, 72))


def test_untouched_it_reaches_l4(sealed, tmp_path):
    subject = bare(sealed, tmp_path)
    verdict = verify(subject.path, by=subject.terms())[0]

    assert (verdict.exit_code, verdict.level, verdict.findings) == (0, "L4", ())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_caught_at_its_layer(sealed, tmp_path, case):
    subject = case.make(sealed, tmp_path)
    if subject.everything:
        _, count = population.count(subject.path, None, subject.terms())
        assert any("no evidence of it is here" in gap.what for gap in count.gaps)
        return

    verdict = judged(subject, case)

    assert (verdict.exit_code, verdict.level) in [(case.code, level) for level in case.left], verdict.findings
    if case.code:
        assert case.check in {finding.check for finding in verdict.findings}, verdict.findings
    if case.number == 50:
        assert any("still here" in text for text in verdict.not_proven)


@pytest.mark.parametrize("case", UNPROVEN, ids=lambda case: f"{case.number} {case.name}")
def test_what_is_out_of_reach_is_printed(sealed, tmp_path, case: Unproven):
    subject = case.make(sealed, tmp_path)

    verdict = verify(subject.path, rev=subject.rev, by=subject.terms())[0]

    assert verdict.exit_code == case.code
    assert any(case.ours in text for text in verdict.not_proven)
