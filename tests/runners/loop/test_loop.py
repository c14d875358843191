"""The loop with a model that says what a test wants."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext

import pytest

from bot.model.task import Usage
from runners.loop.errors import ToolsRefused
from runners.loop.loop import ANSWERS, FORMAT_ERRORS, STRANGERS, Loop
from runners.loop.protocol import Call, Prompt, Reply, Stop, System, Turn
from runners.providers.errors import ProviderError
from runners.providers.protocol import Access, Cause, Limits
from tests.runners.loop.parts import BareJail, Kept, PlainDoor, Spoken, call, loop_of, make, play, request

DONE = Turn("All done.", model="m-2026")
SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


async def fails(turns, tmp_path, **changes) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await play(turns, tmp_path, **changes)
    assert raised.value.fix
    return raised.value


async def test_it_works_until_the_model_answers_without_a_call(tmp_path):
    turns = [call("write", path="a.py", content="x = 1\n"), call("run", command="cat a.py"), DONE]
    result, model = await play(turns, tmp_path)
    assert (result.text, result.model) == ("All done.", "m-2026")
    assert model.last == "exit code 0\nx = 1\n"


async def test_the_model_first_hears_the_system_text_with_how_to_work_and_then_the_prompt(tmp_path):
    _, model = await play([DONE], tmp_path, system="You fix bugs.", prompt="Fix it.")
    system, prompt = model.heard[0]
    assert isinstance(system, System)
    assert system.text.startswith("You fix bugs.\n\nYou work in the folder /workspace ")
    assert prompt == Prompt("Fix it.")


async def test_what_the_gateway_counted_during_the_run_is_the_runs_usage(tmp_path):
    door = PlainDoor()
    door.usage = Usage(2, 20, 2, 5)

    class Counted(Spoken):
        async def complete(self, messages, tools, alive):
            door.usage += Usage(1, 10, 1, None)
            return await super().complete(messages, tools, alive)

    result = await loop_of(Counted([DONE])).run(request(), BareJail(tmp_path), door, Kept())
    assert result.usage == Usage(1, 10, 1, None)


async def test_a_phase_that_reads_is_refused_what_writes_and_told_what_there_is(tmp_path):
    recorder = Kept()
    turns = [call("run", command="touch x"), DONE]
    _, model = await play(turns, tmp_path, recorder, access=Access.READ)
    assert model.tools == ["read", "search", "list"]
    assert model.last == "run is not open to you here: this work only reads. There are: read, search, list."
    assert not list(tmp_path.iterdir())
    assert recorder.of("tool.call")[0].data.decision == "deny"
    assert recorder.outcomes("tool.result") == ["denied"]


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (call("grep", pattern="x"), "There is no tool named grep. There are: read, search, list, edit, write, run."),
        (call("read"), "missing required field `path`"),
        (call("read", path=3), "Expected `str`, got `int` - at `$.path`"),
        (call("read", file="a", lines=3), "unknown field `file`"),
        (call("read", path="a", offset=0), "offset: integer (optional)"),
        (Turn(calls=(Call("c", "read", '{"path": "a'),)), "Input data was truncated"),
        (Turn(calls=(Call("c", "read", "null"),)), "Expected `object`, got `null`"),
        (Turn(calls=(Call("c", "read", "[" * 100_000),)), "cannot be used"),
        (Turn(), "Your answer was empty."),
        (Turn("half a sen", stop=Stop.LENGTH), "cut off by its length limit"),
    ],
)
async def test_what_cannot_be_used_is_explained_a_bounded_number_of_times(tmp_path, turn, said):
    _, model = await play([turn] * (FORMAT_ERRORS - 1) + [DONE], tmp_path)
    assert said in model.last
    error = await fails([turn], tmp_path)
    assert error.cause is Cause.ANSWER
    assert "4 answers in a row" in error.what
    assert said in error.why


async def test_a_good_call_between_bad_ones_starts_the_count_anew(tmp_path):
    turns = []
    for n in range(8):
        turns += [call("nonsense", n=n), call("nonsense", n=-n - 1), call("list", n, path=".", glob=str(n))]
    result, _ = await play([*turns, DONE], tmp_path)
    assert result.text == "All done."


async def test_the_same_call_over_and_over_is_nudged_and_then_ends_the_run(tmp_path):
    same = call("run", command="true")
    _, model = await play([same] * 4 + [DONE], tmp_path)
    assert model.last.endswith(
        "[You have made this same call 4 times and learned nothing new. Do something else, or finish.]"
    )
    error = await fails([same], tmp_path)
    assert (error.cause, error.code) == (Cause.ANSWER, "GW-MODEL-ANSWER")
    assert "the same run call 6 times" in error.what


async def test_turns_are_limited_and_the_model_is_told_near_the_end(tmp_path):
    turns = [call("run", command=f"true {n}") for n in range(6)]
    error = await fails(turns, tmp_path, limits=Limits(turns=6))
    assert (error.cause, error.what) == (Cause.BUDGET, "the model was not done after 6 turns")
    _, model = await play([*turns[:3], DONE], tmp_path, limits=Limits(turns=5))
    told = [said.text.split("\n[")[1:] for said in model.heard[-1] if isinstance(said, Reply)]
    assert told == [
        [],
        ["3 turns are left. Bring the work to an end.]"],
        ["2 turns are left. Bring the work to an end.]"],
    ]


async def test_the_wall_clock_ends_a_run_in_the_middle_of_a_command_and_the_record_says_so(tmp_path):
    recorder = Kept()
    started = time.monotonic()
    with pytest.raises(ProviderError) as raised:
        await play([call("run", command="sleep 60")], tmp_path, recorder, limits=Limits(wall_seconds=0.5))
    assert raised.value.cause is Cause.TIMEOUT
    assert time.monotonic() - started < 10
    assert recorder.outcomes("tool.result") == ["cancelled"]


class Silent(Spoken):
    """Shows `signs` signs of life, one every 0.1 s, and then none."""

    def __init__(self, signs: int) -> None:
        super().__init__([DONE])
        self.signs = signs

    async def complete(self, messages, tools, alive):
        for _ in range(self.signs):
            await asyncio.sleep(0.1)
            alive()
        if self.signs < 10:
            await asyncio.sleep(60)
        return DONE


async def test_a_model_without_a_sign_of_life_is_given_up_but_a_slow_one_is_not(tmp_path):
    limits = Limits(idle_seconds=0.4)
    with pytest.raises(ProviderError, match="no sign of life from the model") as raised:
        await loop_of(Silent(2)).run(request(limits=limits), BareJail(tmp_path), PlainDoor(), Kept())
    assert raised.value.cause is Cause.TIMEOUT
    result = await loop_of(Silent(10)).run(request(limits=limits), BareJail(tmp_path), PlainDoor(), Kept())
    assert result.text == "All done."


async def test_a_time_out_of_the_models_own_is_not_taken_for_ours(tmp_path):
    class Tired(Spoken):
        async def complete(self, messages, tools, alive):
            raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await loop_of(Tired([])).run(request(), BareJail(tmp_path), PlainDoor(), Kept())


async def test_a_content_filter_is_a_refusal(tmp_path):
    assert (await fails([Turn("no", stop=Stop.FILTER)], tmp_path)).cause is Cause.REFUSAL


async def test_a_structured_answer_is_asked_for_checked_and_returned(tmp_path):
    result, model = await play([Turn('```json\n{"ok": true}\n```')], tmp_path, schema=SCHEMA)
    assert result.answer == {"ok": True}
    assert model.heard[0][1].text.endswith('"required":["ok"]}')


async def test_a_wrong_answer_is_sent_back_with_its_fault_twice_at_most(tmp_path):
    wrong = Turn('{"ok": "yes"}')
    result, model = await play([wrong] * (ANSWERS - 1) + [Turn('{"ok": false}')], tmp_path, schema=SCHEMA)
    assert result.answer == {"ok": False}
    assert "$.ok: 'yes' is not of type 'boolean'" in model.last
    error = await fails([wrong], tmp_path, schema=SCHEMA)
    assert (error.cause, error.what) == (Cause.ANSWER, "no usable answer in 3 tries")
    assert "$.ok" in error.why


async def test_without_a_schema_an_answer_is_only_text(tmp_path):
    result, _ = await play([Turn('{"ok": true}')], tmp_path)
    assert result.answer is None


async def test_the_conversation_gives_every_call_one_reply_in_order(tmp_path):
    (tmp_path / "a").write_text("A")
    calls = (
        make("read", 1, path="a"),
        make("write", 2, path="b", content="B"),
        make("read", 3, path="b"),
        make("no", 4),
    )
    _, model = await play([Turn(calls=calls), DONE], tmp_path)
    replies = [said for said in model.heard[-1] if isinstance(said, Reply)]
    assert [reply.call_id for reply in replies] == ["c1", "c2", "c3", "c4"]
    assert replies[2].text == "     1\tB"


class Narrow(Spoken):
    """A model whose server refuses more than `room` characters of tool output."""

    def __init__(self, turns: list[Turn], room: int) -> None:
        super().__init__(turns)
        self.room = room

    async def complete(self, messages, tools, alive):
        if sum(len(said.text) for said in messages if isinstance(said, Reply)) > self.room:
            raise ProviderError(Cause.CONTEXT, "too long", fix="Make it shorter.")
        return await super().complete(messages, tools, alive)


async def test_a_conversation_that_the_server_finds_too_long_goes_on_without_its_oldest_outputs(tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(f"{name}\n" * 400)
    model = Narrow([*(call("read", n, path=name) for n, name in enumerate("abc")), DONE], 7_500)
    result = await loop_of(model).run(request(), BareJail(tmp_path), PlainDoor(), Kept())
    assert result.text == "All done."
    replies = [said.text for said in model.heard[-1] if isinstance(said, Reply)]
    assert replies[0].startswith("[This output of ")
    assert replies[-1].startswith("     1\tc")
    hopeless = Narrow([call("read", path="a"), DONE], 10)
    with pytest.raises(ProviderError, match="too long"):
        await loop_of(hopeless).run(request(), BareJail(tmp_path), PlainDoor(), Kept())


async def test_a_known_context_is_kept_and_what_can_never_fit_ends_with_a_reason(tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(f"{name}\n" * 400)
    turns = [*(call("read", n, path=name) for n, name in enumerate("abc")), DONE]
    model = Spoken(turns)
    loop = Loop("test", lambda *_: nullcontext(model), context=4_000)
    assert (await loop.run(request(), BareJail(tmp_path), PlainDoor(), Kept())).text == "All done."
    assert "was dropped" in model.heard[-1][3].text
    with pytest.raises(ProviderError) as raised:
        await loop.run(request(prompt="x" * 10_000), BareJail(tmp_path), PlainDoor(), Kept())
    assert raised.value.cause is Cause.CONTEXT


async def test_calls_written_as_text_are_carried_out_and_answered_in_one_message(tmp_path):
    text = '{"name": "write", "arguments": {"path": "a", "content": "A"}} {"name": "read", "arguments": {"path": "a"}}'
    _, model = await play([Turn(text), DONE], tmp_path)
    assert model.heard[-1][2:] == [Turn(text), Prompt("[write]\na: made, 1 bytes.\n\n[read]\n     1\tA")]


async def test_a_call_as_text_that_is_unclear_is_never_taken_for_an_answer(tmp_path):
    error = await fails([Turn('{"name": "write", "arguments": {"path": "a", "content": "x')], tmp_path)
    assert error.cause is Cause.ANSWER
    assert "could not be read in exactly one way" in error.why


async def test_a_call_as_text_of_no_known_tool_is_answered_twice_and_then_is_an_answer(tmp_path):
    strange = Turn('{"name": "Skill", "arguments": {}}')
    result, model = await play([strange], tmp_path)
    assert result.text == strange.text
    assert [said.text[:28] for said in model.heard[-1] if isinstance(said, Prompt)][1:] == [
        "There is no tool named Skill",
        "There is no tool named Skill",
    ]


class Toolless(Spoken):
    """A server that takes no tools, from its `since`th call on."""

    since = 0

    async def complete(self, messages, tools, alive):
        if tools and len(self.heard) >= self.since:
            raise ToolsRefused("this model does not support tools")
        return await super().complete(messages, tools, alive)


WRITE = Turn('```json\n{"name": "write", "arguments": {"path": "a.py", "content": "x"}}\n```')


async def test_where_a_server_takes_no_tools_they_are_described_and_calls_are_read_from_the_text(tmp_path):
    model = Toolless([WRITE, DONE])
    result = await loop_of(model).run(request(), BareJail(tmp_path), PlainDoor(), Kept())
    assert result.text == "All done."
    assert (tmp_path / "a.py").read_text() == "x"
    assert model.tools == []
    system = model.heard[0][0]
    assert system.text.startswith("S\n\nYou work in the folder")
    assert '"name": "write"' in system.text
    assert model.heard[1][0] == system
    assert model.last.startswith("[write]\n")


async def test_a_server_that_takes_tools_no_longer_hears_of_earlier_calls_in_words(tmp_path):
    model = Toolless([call("list", path="."), DONE])
    model.since = 1
    await loop_of(model).run(request(), BareJail(tmp_path), PlainDoor(), Kept())
    _, _, turn, reply = model.heard[1]
    assert '{"name": "list", "arguments": {"path":"."}}' in turn.text
    assert not turn.calls
    assert isinstance(reply, Prompt)


async def test_a_server_that_refuses_tools_nobody_offers_ends_the_run(tmp_path):
    class Stubborn(Spoken):
        async def complete(self, messages, tools, alive):
            raise ToolsRefused("no tools")

    with pytest.raises(ProviderError, match="refuses tools") as raised:
        await loop_of(Stubborn([])).run(request(), BareJail(tmp_path), PlainDoor(), Kept())
    assert (raised.value.cause, raised.value.why) == (Cause.ANSWER, "no tools")


async def test_a_call_that_the_server_could_not_make_is_read_from_what_it_shows_of_it(tmp_path):
    garbled = Turn('<function=write{"path": "a.py", "content": "x"}</function>', stop=Stop.GARBLED)
    _, model = await play([garbled, DONE], tmp_path)
    assert (tmp_path / "a.py").read_text() == "x"
    assert model.last.startswith("[write]\n")


@pytest.mark.parametrize("text", ["I would now write", '{"name": "writer", "arguments": {}}', ""])
async def test_a_failed_call_is_never_taken_for_the_answer(tmp_path, text):
    error = await fails([Turn(text, stop=Stop.GARBLED)] * (FORMAT_ERRORS + STRANGERS), tmp_path)
    assert error.cause is Cause.ANSWER


async def test_what_a_model_thought_is_no_part_of_its_answer(tmp_path):
    result, _ = await play([Turn('<think>{"ok": 3}</think>\n{"ok": true}')], tmp_path, schema=SCHEMA)
    assert (result.text, result.answer) == ('{"ok": true}', {"ok": True})
    _, model = await play([Turn("<think>and on and on"), DONE], tmp_path)
    assert model.last.startswith("Your answer was empty.")


async def test_a_model_that_knows_what_it_can_read_is_believed_before_the_settings(tmp_path):
    class Small(Spoken):
        context = 2_000

    (tmp_path / "long.txt").write_text("word\n" * 2_000)
    model, free = (kind([call("read", path="long.txt"), DONE]) for kind in (Small, Spoken))
    for one in (model, free):
        loop = Loop("t", lambda *_, one=one: nullcontext(one), context=50_000)
        await loop.run(request(), BareJail(tmp_path), PlainDoor(), Kept())
    assert len(model.last.encode()) < 2_000 * 3 < len(free.last.encode())
