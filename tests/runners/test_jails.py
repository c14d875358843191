from __future__ import annotations

from msgspec.structs import replace

from bot.model.event import ForgeKind
from bot.model.state import Step
from runners.jails import choose
from tests.runners.stage import Stage


def test_agents_are_confined_unless_the_settings_accept_the_risk_in_words(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    assert choose(stage.settings, order, is_recorded=False) == "bwrap"
    open_settings = replace(stage.settings, sandbox=replace(stage.settings.sandbox, mode="none-i-accept-the-risk"))
    assert choose(open_settings, order, is_recorded=False) == "none"


def test_without_bubblewrap_only_recorded_answers_on_a_local_repository_run(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    # A user that no jail can be started as: the probe of a machine that cannot confine.
    broken = replace(stage.settings, sandbox=replace(stage.settings.sandbox, user=2**32 - 1))
    forged = replace(order, repo=replace(order.repo, forge=ForgeKind.GITHUB))
    assert choose(broken, order, is_recorded=True) == "none"
    assert choose(broken, order, is_recorded=False) == "bwrap"
    assert choose(broken, forged, is_recorded=True) == "bwrap"


async def test_without_a_jail_the_record_says_so(stage: Stage) -> None:
    from runners.site import Site
    from tests.runners.stage import CODED

    stage.site = Site(replace(stage.settings, sandbox=replace(stage.settings.sandbox, mode="none-i-accept-the-risk")))
    stage.record(coding=CODED)
    reports = await stage.perform(stage.order(Step.CODING))
    assert reports.end["outcome"] == "ok", reports.explanation()
    assert reports.data("gate")["result"] == "none"
