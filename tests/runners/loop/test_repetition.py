"""Going in circles."""

from __future__ import annotations

from runners.loop.protocol import Call, Reply
from runners.loop.repetition import NUDGES, READS, Idleness, Repetition


def count(repetition, name, result):
    return repetition.count(Call("id", name, "{}"), Reply("id", name, result))


def test_the_same_call_in_a_row_counts_whatever_came_of_it():
    repetition = Repetition()
    assert [count(repetition, "run", f"took {n} s") for n in range(4)] == [1, 2, 3, 4]


def test_a_circle_of_calls_with_the_same_outcome_counts():
    repetition = Repetition()
    counts = [count(repetition, name, "same") for _ in range(4) for name in "abc"]
    assert counts[-3:] == [4, 4, 4]


def test_calls_that_learn_something_new_in_between_do_not_count():
    repetition = Repetition()
    assert [count(repetition, name, f"{n}") for n in range(9) for name in "ab"] == [1] * 18


def test_a_change_of_the_worktree_starts_the_count_anew():
    repetition = Repetition()
    count(repetition, "read", "x")
    repetition.forget()
    assert count(repetition, "read", "x") == 1


def test_only_the_latest_calls_are_kept():
    repetition = Repetition()
    count(repetition, "read", "x")
    for n in range(30):
        count(repetition, "search", str(n))
    assert count(repetition, "read", "x") == 1


def test_reading_the_same_in_other_words_counts():
    repetition = Repetition()
    text = "a long enough text " * 20
    paths = ["a", "./a", "/workspace/a", "b/../a"]
    calls = [Call("id", "read", path) for path in paths]
    assert [repetition.count(call, Reply("id", "read", text), reads=True) for call in calls] == [1, 2, 3, 4]
    assert repetition.count(Call("id", "run", "cat a"), Reply("id", "run", text)) == 1


def test_who_only_reads_is_told_a_few_times_and_a_change_starts_anew():
    idleness = Idleness()
    told = [idleness.nudge(only_reads=True, changed=False) for _ in range(READS * 9)]
    assert [count for count in told if count] == [READS * n for n in range(1, NUDGES + 1)]
    idleness = Idleness()
    for _ in range(READS - 1):
        idleness.nudge(only_reads=True, changed=False)
    assert not idleness.nudge(only_reads=False, changed=True)
    assert not idleness.nudge(only_reads=True, changed=False)
