"""The driver of command line agents, with a shell script for an agent: its clocks, its bounds, and what it believes."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runners.providers.command import CommandProvider
from runners.providers.command_texts import prompt
from runners.providers.errors import ProviderError
from runners.providers.protocol import Access, Cause, Door, Jail, Limits, Request
from runners.providers.runtime import Called, Ended, Failed, Happening, Reader, Returned, Said, Start
from runners.workspace.process import marked
from runners.workspace.sandbox import probe
from tests.conftest import missing
from tests.runners.providers.stage import QUICK, Stage, open_stage
from tests.simulators.models import Step

SCHEMA = {"type": "object", "properties": {"passed": {"type": "boolean"}}, "required": ["passed"]}


class Script:
    """An agent that is a shell script; `say`, `call`, `return`, `end` and `fail` on its output mean what they say."""

    name = "script"
    label = "The script"

    def __init__(self, text: str, **start: Any) -> None:
        self._text = text
        self._start = start
        self.prompts: list[str] = []

    def start(self, request: Request, prompt: str, jail: Jail, door: Door) -> Start:
        self.prompts.append(prompt)
        tried = {"TRIES": str(len(self.prompts))}
        return Start(**{"argv": ("/bin/bash", "-c", self._text), "env": tried, "stdin": prompt.encode(), **self._start})

    def reader(self, request: Request, jail: Jail) -> Reader:
        return self

    def line(self, line: bytes) -> Iterable[Happening]:
        word, _, rest = line.decode(errors="replace").partition(" ")
        said: dict[str, Happening] = {
            "say": Said(rest), "more": Said(rest, is_more=True), "call": Called(rest, "tool", b"{}"),
            "return": Returned(rest, is_ok=True, output=b"o" * 100_000), "end": Ended(), "fail": Failed(rest),
        }  # fmt: skip
        return [said[word]] if word in said else []

    def end(self, exit_code: int, stderr: str) -> Iterable[Happening]:
        return [Failed("quota, it says", Cause.QUOTA)] if "quota" in stderr else []


@asynccontextmanager
async def playing(text: str, **start: Any) -> AsyncIterator[Stage]:
    """Set the stage for a script, and see that nothing of it is left."""
    if lacks := probe():
        missing(lacks)
    async with open_stage(CommandProvider(Script(text, **start)), "openai", "toy") as stage:
        yield stage
        assert marked(stage.jail._mark) == []
    assert stage.recorder.unpaired() == []


async def failure(stage: Stage, **changes: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await stage.run(**changes)
    assert caught.value.fix
    return caught.value


def limits(**changes: Any) -> Limits:
    return msgspec.structs.replace(QUICK, **changes)


async def test_the_last_words_are_the_answer() -> None:
    async with playing("cat >&2; echo say one; echo say two; echo 'more , three'; echo end") as stage:
        result = await stage.run()
    assert (result.text, result.model, result.usage.calls) == ("two, three", "toy", 0)


@pytest.mark.parametrize(("script", "cause", "why"), [
    ("echo say fine", Cause.CRASH, "without saying that it was done"),
    ("echo say fine; echo end; echo trouble at the end >&2; exit 3", Cause.CRASH, "exit code 3; trouble at the end"),
    ("echo end; echo say hm; kill -9 $$", Cause.CRASH, "exit code"),
    ("echo fail it broke; echo end", Cause.CRASH, "it broke"),
    ("echo say x; echo end; echo quota >&2", Cause.QUOTA, "quota, it says"),
    ("no-such-program-here", Cause.CRASH, "no-such-program-here"),
])  # fmt: skip
async def test_a_success_is_said_and_shown(script: str, cause: Cause, why: str) -> None:
    async with playing(script) as stage:
        problem = await failure(stage)
    assert problem.cause is cause
    assert why in problem.why


async def test_an_empty_answer_is_none_where_the_answer_is_all_there_is() -> None:
    async with playing("echo end") as stage:
        assert (await stage.run()).text == ""
        assert (await failure(stage, access=Access.READ)).cause is Cause.ANSWER


async def test_what_reads_only_cannot_write() -> None:
    async with playing("echo gone >calc.py; touch new; echo say done; echo end") as stage:
        await stage.run(access=Access.READ)
        assert [path.name for path in stage.worktree.iterdir()] == ["calc.py"]
        assert "a - b" in (stage.worktree / "calc.py").read_text()


async def test_silence_ends_a_run() -> None:
    async with playing("echo call 1; echo return 1; setsid sleep 300 & sleep 300") as stage:
        since = time.monotonic()
        problem = await failure(stage, limits=limits(idle_seconds=1))
        assert time.monotonic() - since < 5
    assert problem.cause is Cause.TIMEOUT
    assert "silent for 1 s" in problem.why


async def test_a_tool_may_be_silent() -> None:
    async with playing("echo call 1; sleep 3; echo return 1; echo say done; echo end") as stage:
        assert (await stage.run(limits=limits(idle_seconds=1))).text == "done"


async def test_a_runtime_may_be_silent_while_its_model_speaks() -> None:
    body = '{"model": "toy", "stream": true}'
    ask = f"curl -sN http://127.0.0.1:8900/v1/responses -H \"Authorization: Bearer $T\" -d '{body}'"
    async with playing(f"read -r T; {ask} >answer; echo say done; echo end") as stage:
        stage.model.script.extend([Step(text="slow " * 8, pause=0.4)])
        since = time.monotonic()
        assert (await stage.run(system=stage.door.token, limits=limits(idle_seconds=1))).usage.calls == 1
        assert time.monotonic() - since > 2
        assert "response.completed" in (stage.worktree / "answer").read_text()


async def test_a_run_has_its_time_and_open_calls_say_so() -> None:
    async with playing("echo call 1; sleep 300") as stage:
        assert (await failure(stage, limits=limits(wall_seconds=1))).cause is Cause.TIMEOUT
    assert [result.outcome for result in stage.recorder.of("tool.result")] == ["timeout"]


async def test_a_cancelled_run_is_gone_at_once() -> None:
    script = "echo call 1; (setsid bash -c 'trap \"\" TERM; sleep 300' &); touch started; sleep 300"
    async with playing(script) as stage:
        running = asyncio.ensure_future(stage.run())
        await stage.until_exists("started")
        since = time.monotonic()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert time.monotonic() - since < 1
        assert marked(stage.jail._mark) == []
    assert [result.outcome for result in stage.recorder.of("tool.result")] == ["cancelled"]


async def test_a_run_can_be_cancelled_at_any_moment_of_its_start() -> None:
    async with playing("sleep 300") as stage:
        for milliseconds in range(0, 40, 2):
            running = asyncio.ensure_future(stage.run())
            await asyncio.sleep(milliseconds / 1000)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert marked(stage.jail._mark) == [], milliseconds


async def test_streams_are_drained_and_bounded() -> None:
    flood = "head -c 20000000 /dev/zero | tr '\\0' x"
    script = f"({flood}) >&2; echo; {flood}; echo; echo call 1; echo return 1; echo say end; echo end; exit 1"
    async with playing(script) as stage:
        problem = await failure(stage)
    assert "1 lines of more than 8 MiB left out" in problem.why
    assert len(problem.why) < 2_000
    [result] = stage.recorder.of("tool.result")
    assert len(result.blobs["out"]) == QUICK.output_bytes


async def test_words_without_end_are_no_answer() -> None:
    async with playing(
        "for i in {1..40}; do echo more $(head -c 100000 /dev/zero | tr '\\0' x); done; echo end"
    ) as stage:
        problem = await failure(stage)
    assert problem.cause is Cause.ANSWER
    assert "longer than" in problem.why


@pytest.mark.parametrize("script", ["echo say done; echo end", "exec <&-; sleep 0.3; echo say done; echo end"])
async def test_a_prompt_that_nobody_reads_holds_nothing_up(script: str) -> None:
    async with playing(script, stdin=b"x" * 5_000_000) as stage:
        assert (await stage.run()).text == "done"


@pytest.fixture
def shelf() -> Iterator[Path]:
    """A folder for temporary files that the jail's user may pass through, and that must be empty at the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder
        assert list(folder.iterdir()) == []


async def test_files_are_there_for_the_jail_alone_and_for_the_run_alone(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "cat /opt/rt/a/one; echo; stat -c 'more %a' /opt/rt/a/one; echo x >/opt/rt/a/one; echo end"
    async with playing(script, files={"/opt/rt/a/one": b"say secret "}) as stage:
        monkeypatch.setattr(tempfile, "tempdir", str(shelf))
        assert (await stage.run()).text == "secret 400"


async def test_the_environment_is_the_runtimes_and_leads_to_the_gateway() -> None:
    script = "curl -s http://elsewhere.example/ >/dev/null; env | sort | tr '\\n' ' ' | sed 's/^/say /'; echo; echo end"
    async with playing(script, env={"MINE": "1"}) as stage:
        said = (await stage.run()).text
        assert stage.door.outside == ["elsewhere.example"]
    assert "MINE=1" in said
    assert f"HTTPS_PROXY={stage.jail.gateway_url}" in said
    assert re.search(r"\bno_proxy=127\.0\.0\.1,localhost,::1", said)


async def test_an_answer_that_misses_its_schema_is_asked_for_again_with_the_reason() -> None:
    answers = "case $TRIES in 1) echo say no;; 2) echo 'say {\"passed\": 7}';; *) echo 'say {\"passed\": true}';; esac"
    provider = Script(f"{answers}; echo end")
    async with playing("") as stage:
        stage.provider = CommandProvider(provider)
        assert (await stage.run(schema=SCHEMA, access=Access.READ)).answer == {"passed": True}
        first, second, third = provider.prompts
        assert '"passed"' in first
        assert "not JSON" not in first
        assert "not JSON" in second
        assert "$.passed: 7 is not of type 'boolean'" in third
        assert '{"passed": 7}' in third


async def test_three_answers_are_enough() -> None:
    provider = Script("echo say I would rather not; echo end")
    async with playing("") as stage:
        stage.provider = CommandProvider(provider)
        problem = await failure(stage, schema=SCHEMA, access=Access.READ)
    assert problem.cause is Cause.ANSWER
    assert "not JSON" in problem.why
    assert len(provider.prompts) == 3


async def test_calls_of_one_try_do_not_stay_open_in_the_next() -> None:
    async with playing("echo call 1; echo say no; echo end") as stage:
        await failure(stage, schema=SCHEMA)
    assert [result.outcome for result in stage.recorder.of("tool.result")] == ["cancelled"] * 3


async def test_an_argument_that_the_kernel_refuses_is_named() -> None:
    async with playing("", argv=("/bin/echo", "x" * 140_000)) as stage:
        problem = await failure(stage)
    assert problem.cause is Cause.CONTEXT
    assert "131072" in problem.why


async def test_what_cannot_be_recorded_ends_the_run() -> None:
    async with playing("echo call 1; sleep 300") as stage:

        def full(kind: str, *args: Any, **more: Any) -> None:
            raise OSError(28, "No space left on device")

        stage.recorder.record = full  # type: ignore[method-assign]
        with pytest.raises(OSError, match="No space"):
            await stage.run()


def test_braces_in_what_people_write_are_theirs() -> None:
    request = Request(phase="coding", model="m", system="{system}", prompt="{x} {0}", access=Access.READ)  # type: ignore[arg-type]
    assert prompt(request) == "{system}\n\n{x} {0}"
    asked = msgspec.structs.replace(request, schema=SCHEMA)
    assert prompt(asked, "{said}", "{fault}").count("{fault}") == 1
