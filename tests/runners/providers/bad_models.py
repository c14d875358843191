"""What a model and its API can do to a run besides failing politely; part of the one contract (contract.py)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest

from bot.model.allowance import Allowance
from runners.providers.errors import ProviderError
from runners.providers.protocol import Access, Cause
from tests.runners.providers.stage import QUICK, Stage
from tests.simulators.models import Step, Tool

LARGE = 30_000_000  # bytes
FORM = {
    "type": "object",
    "properties": {"passed": {"type": "boolean"}},
    "required": ["passed"],
    "additionalProperties": False,
}


class BadModels:
    """Each of these ends in a result or in a named error, within its clock, with every call closed."""

    case: Any

    stage: Callable[..., AbstractAsyncContextManager[Stage]]  # the contract's

    async def test_garbage_instead_of_json_is_a_crash(self) -> None:
        async with self.stage(Step(body="<html>502 from a proxy</html>", repeat=0)) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run()
        assert caught.value.cause is Cause.CRASH
        assert "ok" not in {record.outcome for record in stage.recorder.of("model.result")}
        assert stage.recorder.unpaired() == []

    async def test_a_call_with_wrong_types_is_answered_and_the_run_goes_on(self) -> None:
        right = self.case.command("true")
        wrong = Tool(right.name, {key: {"not": ["a", 7]} for key in right.arguments})
        async with self.stage(Step(tools=(wrong,)), Step(text="done")) as stage:
            assert (await stage.run()).text.strip() == "done"
        assert stage.recorder.unpaired() == []

    async def test_a_model_that_says_nothing_has_no_answer(self) -> None:
        async with self.stage(Step(text="", repeat=0)) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run(access=Access.READ)
        assert caught.value.cause in (Cause.ANSWER, Cause.CRASH)
        assert caught.value.fix

    async def test_an_answer_in_another_language_is_no_form(self) -> None:
        async with self.stage(Step(text="Ich möchte lieber nicht. 不想说。", repeat=0)) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run(access=Access.READ, schema=FORM)
        assert caught.value.cause is Cause.ANSWER

    async def test_the_same_call_for_ever_comes_to_an_end(self) -> None:
        again = Step(tools=(self.case.command("cat calc.py"),), repeat=0)
        async with self.stage(again) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run(limits=msgspec.structs.replace(QUICK, turns=9))
        assert caught.value.cause in (Cause.BUDGET, Cause.ANSWER)
        assert len(stage.recorder.of("model.call")) <= 10
        assert stage.recorder.unpaired() == []

    @pytest.mark.timeout(120)
    async def test_an_answer_of_30_mb_is_borne_or_named(self) -> None:
        async with self.stage(Step(text="word " * (LARGE // 5), repeat=0)) as stage:
            since = time.monotonic()
            [ended] = await asyncio.gather(stage.run(access=Access.READ), return_exceptions=True)
            assert time.monotonic() - since < QUICK.wall_seconds + 10
        if isinstance(ended, ProviderError):
            assert ended.cause in (Cause.CRASH, Cause.ANSWER, Cause.TIMEOUT)
            assert ended.fix
        else:
            assert len(ended.text.strip()) in (LARGE, LARGE - 1)
        assert stage.recorder.unpaired() == []

    async def test_a_budget_of_tokens_stops_it_after_one_call_more_at_most(self) -> None:
        line = lambda body: Step(tools=(self.case.command(f"echo {len(str(body))}"),), tokens=(1000, 30))
        budget = Allowance(scope="attempt", tokens=3000)
        async with self.stage(*[line] * 12, allowances=(budget,)) as stage:
            with pytest.raises(ProviderError) as caught:
                await stage.run()
            used = stage.door.usage
        assert (caught.value.cause, caught.value.code) == (Cause.BUDGET, "GW-BUDGET-ATTEMPT")
        assert 3000 <= used.tokens_in + used.tokens_out <= 3000 + 1030
        assert stage.recorder.unpaired() == []

    async def test_nothing_but_the_model_is_asked_for(self) -> None:
        async with self.stage(Step(tools=(self.case.command("true"),)), Step(text="done")) as stage:
            await stage.run()
        assert stage.door.outside == []
