"""What stays of a conversation that is too long."""

from __future__ import annotations

from runners.loop.memory import BYTES_PER_TOKEN, FOR_INPUT, Memory
from runners.loop.protocol import Call, Prompt, Reply, System, Turn

FIRST = System("s"), Prompt("p")


def filled(context: int, *sizes: int) -> Memory:
    memory = Memory(FIRST, context)
    for number, size in enumerate(sizes):
        memory.add(Turn(calls=(Call(f"c{number}", "read", "{}"),)))
        memory.add(Reply(f"c{number}", "read", "x" * size), output=True)
    return memory


def texts(memory: Memory) -> list[str]:
    return [message.text for message in memory.messages if isinstance(message, Reply)]


def test_the_oldest_outputs_go_first_and_say_so_where_they_stood():
    memory = filled(1000, 1000, 1000, 1000)
    assert memory.fit()
    first, *others = texts(memory)
    assert first.startswith("[This output of 1,000 bytes was dropped")
    assert others == ["x" * 1000] * 2 or others[1] == "x" * 1000
    assert memory.fits()
    assert [type(message) for message in memory.messages[:3]] == [System, Prompt, Turn]


def test_the_newest_output_is_cut_and_never_dropped():
    memory = filled(1000, 9000)
    assert memory.fit()
    assert "bytes left out" in texts(memory)[0]
    assert memory.fits()


def test_without_a_known_context_nothing_is_dropped_until_the_server_complains():
    memory = filled(0, 5000, 5000)
    assert not memory.fit()
    assert memory.shrink()
    assert "was dropped" in texts(memory)[0]
    for _ in range(20):
        if not memory.shrink():
            break
    else:
        raise AssertionError("there is always something left to drop")


def test_what_was_said_is_never_dropped():
    memory = Memory((System("s" * 9000), Prompt("p")), 1000)
    assert not memory.fit()
    assert not memory.fits()
    assert int(1000 * FOR_INPUT * BYTES_PER_TOKEN) < 9000


def test_only_what_was_thought_last_is_kept():
    memory = Memory(FIRST)
    for number in range(2):
        memory.add(Turn("t", thought=f"thought {number}"))
        memory.add(Prompt("go on"))
    assert [message.thought for message in memory.messages if isinstance(message, Turn)] == ["", "thought 1"]


def test_instructions_can_be_added_and_count():
    memory = Memory(FIRST, context=200)
    assert memory.fits()
    memory.instruct(" and this: " + "x" * 600)
    assert memory.messages[0].text.startswith("s and this: xxx")
    assert not memory.fits()
