"""Notes: where one is, how many there may be, and what is read again."""

from __future__ import annotations

from collections.abc import Callable

from bot.forges.gitlab import GitLab
from tests.bot.forges.conftest import raises
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person

Bots = Callable[..., GitLab]


async def test_notes_on_an_issue_and_a_merge_request_of_the_same_number(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    """Numbers say nothing about where a note is; its own id does."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    issue = dev.opens_issue("a")
    dev.commits("work", {"a.txt": "a"})
    change = dev.opens_change("b", "work")
    assert issue == change == 1
    on_issue, on_change = dev.comments(1, "/gatewright status"), dev.comments(1, "@gatewright help", on_change=True)
    assert on_issue
    assert on_change
    fresh = gitlab_bot(dev.project)  # knows nothing of either
    await fresh.react(repo, 1, on_change, "eyes")
    await fresh.comment(repo, 1, "an answer there <!-- m -->", answering=on_change)
    await forge.comment(repo, 1, "an answer here <!-- m -->", answering=on_issue)
    await forge.comment(repo, 1, "a review's answer", on_change=True)
    notes = [n.body for n in dev.project.issues[1].notes if not n.system]
    assert notes == ["/gatewright status", "an answer here <!-- m -->"]
    notes = [n.body for n in dev.project.merge_requests[1].notes if not n.system]
    assert notes == ["@gatewright help", "an answer there <!-- m -->", "a review's answer"]
    seen = await fresh.get_comment(repo, 1, on_change)
    assert seen is not None
    assert (seen.author.id, seen.body) == (dev.id, "@gatewright help")
    here = await forge.find_comment(repo, 1, "<!-- m -->")
    there = await fresh.find_comment(repo, 1, "<!-- m -->", on_change=True)
    assert None not in (here, there)
    assert here != there
    assert await fresh.find_comment(repo, 1, "<!-- m -->", answering=on_change) == there


async def test_a_note_is_posted_edited_and_gone(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    number, other = dev.opens_issue("a"), dev.opens_issue("b")
    made = await forge.comment(repo, number, "# Spec\n<!-- marker -->")
    await forge.edit_comment(repo, number, made, "# Spec 2")
    seen = await forge.get_comment(repo, number, made)
    assert seen is not None
    assert seen.body == "# Spec 2"
    assert await gitlab_bot(dev.project).get_comment(repo, other, made) is None
    told = dev.comments(number, "hello")
    assert told
    await forge.react(repo, number, told, "eyes")
    await forge.react(repo, number, told, "eyes")  # refused by GitLab, and no fault
    dev.deletes_note(told)
    assert await forge.get_comment(repo, number, told) is None
    await raises("GW-FORGE-NOT-FOUND", forge.react(repo, number, told, "eyes"))


async def test_a_note_that_somebody_edited_shows_it(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """Author, text and time are what hearing compares."""
    repo, forge, number = gitlab.repo(dev.project), gitlab_bot(dev.project), dev.opens_issue("a")
    told = dev.comments(number, "/gatewright status")
    assert told
    before = await forge.get_comment(repo, number, told)
    gitlab.skew(60)
    gitlab.user("boss", dev.project, "maintainer").edits_note(told, "/gatewright approve")
    after = await forge.get_comment(repo, number, told)
    assert before is not None
    assert after is not None
    assert after.author == before.author
    assert after.body != before.body
    assert after.updated_ms > before.updated_ms == before.created_ms


async def test_a_long_text_becomes_several_notes_and_the_last_has_the_marker(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge, number = gitlab.repo(dev.project), gitlab_bot(dev.project), dev.opens_issue("a")
    made = await forge.comment(repo, number, "word " * 250_000 + "\n<!-- marker -->")
    notes = dev.project.issues[number].notes
    assert len(notes) == 2
    assert notes[-1].id == made == await forge.find_comment(repo, number, "<!-- marker -->")


async def test_the_bot_leaves_room_for_people(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """GitLab takes 5,000 notes and then nobody's."""
    import copy

    repo, forge, number = gitlab.repo(dev.project), gitlab_bot(dev.project), dev.opens_issue("a")
    await forge.comment(repo, number, "one")
    [note] = dev.project.issues[number].notes
    gitlab.do(lambda: dev.project.issues[number].notes.extend(copy.copy(note) for _ in range(4_499)))
    error = await raises("GW-FORGE-FULL", forge.comment(repo, number, "one more"))
    assert "4500" in error.why
    await forge.edit_comment(repo, number, note.id, "edits go on")


async def test_a_marker_counts_only_in_our_own_note(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    repo, forge, number = gitlab.repo(dev.project), gitlab_bot(dev.project), dev.opens_issue("a")
    dev.comments(number, "<!-- gw:1 -->")
    assert await forge.find_comment(repo, number, "<!-- gw:1 -->") is None
    ours = await forge.comment(repo, number, "text <!-- gw:1 -->")
    for index in range(120):
        dev.comments(number, f"noise {index} <!-- gw:1 -->")
    assert await forge.find_comment(repo, number, "<!-- gw:1 -->") == ours
    assert await forge.find_comment(repo, 999, "<!-- gw:1 -->") is None


async def test_an_event_may_be_faster_than_what_it_tells_of(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    number = dev.opens_issue("fresh")
    late = gitlab.fault("GET", r"/issues/\d+$", status=404, times=2)
    assert await gitlab_bot(dev.project).issue(gitlab.repo(dev.project), number) is not None
    assert late.hits == 2


async def test_notes_since_a_time_are_what_people_wrote(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """Oldest first, without GitLab's own, on the issue or on the merge request of the same number."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    number = dev.opens_issue("a")
    dev.commits("work", {"a.txt": "a"})
    assert dev.opens_change("b", "work") == number
    first = dev.comments(number, "one")
    dev.closes(number)  # GitLab writes a note of it
    dev.reopens(number)
    gitlab.skew(60)
    second, third = dev.comments(number, "two"), dev.comments(number, "three", internal=True)
    dev.comments(number, "elsewhere", on_change=True)
    everything = await forge.comments(repo, number, 0)
    assert [(c.id, c.body, c.is_internal) for c in everything] == [
        (first, "one", False), (second, "two", False), (third, "three", True),
    ]  # fmt: skip
    assert {c.author.id for c in everything} == {dev.id}
    late = await forge.comments(repo, number, everything[1].created_ms)
    assert [c.body for c in late] == ["two", "three"]
    assert await forge.comments(repo, number, everything[2].created_ms + 1) == ()
    there = await forge.comments(repo, number, 0, on_change=True)
    assert [c.body for c in there] == ["elsewhere"]


async def test_of_many_notes_the_first_thousand_come(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """The rest comes when it is asked for from where these end."""
    repo, forge, number = gitlab.repo(dev.project), gitlab_bot(dev.project), dev.opens_issue("a")
    for index in range(1_050):
        dev.comments(number, str(index))
    seen = await forge.comments(repo, number, 0)
    assert len(seen) == 1_000
    assert (seen[0].body, seen[-1].body) == ("0", "999")
    rest = await forge.comments(repo, number, seen[-1].created_ms)
    assert rest[-1].body == "1049"


async def test_the_notes_of_an_issue_that_is_gone_are_an_error(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    await raises("GW-FORGE-NOT-FOUND", gitlab_bot(dev.project).comments(gitlab.repo(dev.project), 999, 0))


async def test_a_note_of_ours_that_a_maintainer_edited_reads_otherwise(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    """Under our name still: only its text and time tell."""
    repo, forge, number = gitlab.repo(dev.project), gitlab_bot(dev.project), dev.opens_issue("a")
    made = await forge.comment(repo, number, "approve digest 1")
    gitlab.skew(5)
    dev.is_granted("maintainer").edits_comment(made, "approve digest 2")
    seen = await forge.get_comment(repo, number, made)
    assert seen is not None
    assert seen.body == "approve digest 2"
    assert seen.author.id == (await forge.me()).id
    assert seen.updated_ms > seen.created_ms
