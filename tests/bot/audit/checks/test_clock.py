from __future__ import annotations

from tests.bot.audit.checks.kit import alone, found
from tests.bot.audit.signed import SignedStory, Tsa
from tests.bot.audit.story import START

DAY = 86_400_000


def test_an_approval_before_its_comment_was_written(sealed):
    def later(records):
        next(one for one in records if one["kind"] == "approval")["data"]["forge_ts"] += DAY

    verdict = alone(sealed, sealed.files(sealed.forge(later)), level=1)

    assert "before the comment" in found(verdict, "clock").what
    assert verdict.regulator[11].result == "failed"


def test_a_small_difference_is_within_tolerance(sealed):
    def later(records):
        next(one for one in records if one["kind"] == "approval")["data"]["forge_ts"] += 60_000

    lines = sealed.forge(later)

    assert not any(one.check == "clock" for one in alone(sealed, sealed.files(lines), level=1).findings)
    assert any(one.check == "clock" for one in alone(sealed, sealed.files(lines), clock_tolerance_s=30).findings)


def test_a_task_that_claims_to_end_after_it_was_stamped(tmp_path):
    task = SignedStory(tmp_path, tsa=Tsa(tmp_path), now=START * 2).until_sealed()

    verdict = alone(task)

    assert "after a time stamp saw it" in found(verdict, "clock").what


def test_a_task_that_was_dated_back_is_named(tmp_path):
    task = SignedStory(tmp_path, tsa=Tsa(tmp_path), now=START // 2).until_sealed()

    assert any("a time stamp saw it at" in text for text in alone(task).not_proven)
