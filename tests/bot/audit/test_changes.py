"""The population of changes: one row a task, for spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import pytest

from bot.audit.changes import COLUMNS, as_csv, stamp, usd
from bot.audit.command import verify
from bot.audit.errands import changes
from bot.audit.gathering import Where
from bot.model.state import Gate
from tests.bot.audit.story import TASK, Story

DOCS = Path(__file__).resolve().parents[3] / "docs" / "audit.md"


def listed(task, capsys, code: int = 0, **more) -> list[dict[str, str]]:
    capsys.readouterr()
    where = Where(str(more.pop("path", task.repo)), trust=more.pop("trust", None))
    assert changes(where, **more) == code
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))


def test_a_change_is_one_row(sealed, capsys):
    (row,) = listed(sealed, capsys, trust=sealed.trust_file())

    assert tuple(row) == COLUMNS
    assert row["task"] == TASK
    assert (row["repository"], row["issue"], row["title"]) == ("acme/pay", "42", "")
    assert (row["requester"], row["author"]) == ("github:40021", "github:40022")
    assert (row["state"], row["level"], row["findings"], row["attention"]) == ("sealed", "L4", "0", "0")
    assert [row[f"{gate}_approvers"] for gate in ("spec", "plan", "scope", "change")] == [
        "github:40077",
        "github:40077",
        "",
        "github:40077",
    ]
    assert (row["four_eyes"], row["emergency"]) == ("yes", "no")
    assert (row["models"], row["calls"]) == ("claude/sonnet x4", "4")
    assert (row["tests_passed"], row["tests_failed"], row["qa"]) == ("1", "0", "passed")
    assert (row["cost_usd"], row["tokens_in"], row["tokens_out"]) == ("0.000000", "40", "20")
    assert re.fullmatch("[0-9a-f]{40}", row["commit"])
    assert re.fullmatch("[0-9a-f]{64}", row["source_sha256"])
    times = [row["opened"], row["approved"], row["merged"]]
    assert times == sorted(times)
    assert all(re.fullmatch(r"2026-11-2\dT\d\d:\d\d:\d\dZ", each) for each in times)


def test_titles_are_there_when_asked_for_and_only_from_the_text_that_was_approved(sealed, capsys):
    assert listed(sealed, capsys, titles=True)[0]["title"] == "Retry"

    files = sealed.files() | {"spec.md": b"# Something else\n"}
    sealed.archive(files)
    assert listed(sealed, capsys, code=1, titles=True)[0]["title"] == ""


def test_what_is_unfinished_has_empty_cells(story, capsys):
    lines = story.lines[:7]
    directory = story.repo.parent / "early" / TASK / "audit"
    directory.mkdir(parents=True)
    (directory / "0000.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))

    (row,) = listed(story, capsys, path=directory.parent)
    assert row["state"] == "open"
    assert {row[name] for name in ("approved", "merged", "qa", "commit", "change_approvers")} == {""}


def test_an_approval_that_fell_is_nobodys(tmp_path, capsys):
    task = Story(tmp_path).until_change_review()
    task.approve(Gate.CHANGE)
    assert listed(task, capsys, path=task.store())[0]["change_approvers"] == "github:40077"
    task.say("fix", words="the timeout")

    (row,) = listed(task, capsys, path=task.store())
    assert (row["change_approvers"], row["approved"], row["plan_approvers"]) == ("", "", "github:40077")


def test_evidence_that_cannot_be_read_is_a_row_with_its_findings(story, capsys):
    (story.store() / "audit" / "0000.jsonl").write_bytes(b"{}\n")

    (row,) = listed(story, capsys, code=1, path=story.directory)
    assert (row["task"], row["level"], row["repository"]) == (TASK, "nothing", "")
    assert int(row["findings"]) > 0


@pytest.mark.parametrize(
    ("days", "count"),
    [
        ({}, 1),
        ({"since": "2026-11-21"}, 1),
        ({"since": "2026-11-21", "until": "2026-11-21"}, 1),
        ({"since": "2026-11-22"}, 0),
        ({"until": "2026-11-20"}, 0),
    ],
)
def test_a_period_holds_the_tasks_that_ended_in_it(sealed, capsys, days, count):
    assert len(listed(sealed, capsys, **days)) == count


def test_json_has_the_same_cells(sealed, capsys):
    row = listed(sealed, capsys)
    assert changes(Where(str(sealed.repo)), form="json") == 0
    said = json.loads(capsys.readouterr().out)

    assert said == {"schema": "gatewright/audit-changes/v1", "changes": row}


def test_the_exit_code_is_that_of_verify(sealed, capsys):
    (sealed.directory / "spec.md").write_bytes(b"x")

    assert verify(sealed.repo) == 1
    assert len(listed(sealed, capsys, code=1)) == 1


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"form": "xml"}, "GW-AUDIT-FORMAT"),
        ({"since": "yesterday"}, "GW-AUDIT-DAY"),
        ({"until": "2026-02-30"}, "GW-AUDIT-DAY"),
        ({"out": Path("/nowhere/x.csv")}, "GW-AUDIT-OUT"),
    ],
)
def test_what_cannot_be_done_is_exit_3(sealed, capsys, how, code):
    assert changes(Where(str(sealed.repo)), **how) == 3
    assert code in capsys.readouterr().err


def test_a_file_holds_what_would_be_printed(sealed, capsys, tmp_path):
    changes(Where(str(sealed.repo)))
    printed = capsys.readouterr().out
    changes(Where(str(sealed.repo)), out=tmp_path / "x.csv")

    assert (tmp_path / "x.csv").read_bytes().decode() == printed


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2", "@SUM(A1)", " =1", "\t=1", "\r=1", '=HYPERLINK("http://x")'])
def test_no_cell_is_a_formula(text):
    row = dict.fromkeys(COLUMNS, "") | {"title": text, "repository": f'a,"b"\n{text}'}
    (read,) = csv.DictReader(io.StringIO(as_csv([row]), newline=""))

    assert read["title"].startswith("'")
    assert read["repository"].startswith('a,"b"')
    assert "\n" not in read["repository"]


def test_lines_end_as_rfc_4180_has_it_and_letters_are_utf_8():
    said = as_csv([dict.fromkeys(COLUMNS, "") | {"title": "Zürich ✓, ok"}]).encode()

    assert said.count(b"\r\n") == 2
    assert said.replace(b"\r\n", b"").count(b"\n") == 0
    assert '"Zürich ✓, ok"'.encode() in said


def test_a_hostile_path_in_a_record_stays_one_cell(story, capsys):
    def bend(records):
        records[0]["data"]["path"] = "=cmd|'/c calc'!A0\u202e\x1b[2J"

    shutil.rmtree(story.directory)
    (row,) = listed(story, capsys, path=story.store(story.forge(bend)))
    assert row["repository"].startswith("'=cmd")
    assert not {"\x1b", "\u202e"} & set(row["repository"])


@pytest.mark.parametrize(
    ("micro", "said"),
    [(0, "0.000000"), (1_234_567, "1.234567"), (None, ""), (-5, "-0.000005"), (10**12, "1000000.000000")],
)
def test_money_is_not_rounded(micro, said):
    assert usd(micro) == said


def test_a_time_that_is_none_is_empty():
    assert stamp(0) == ""
    assert stamp(1_795_300_000_000) == "2026-11-21T22:26:40Z"


def test_every_column_is_described_in_order():
    page = DOCS.read_text().partition("### The list of changes")[2].partition("\n##")[0]
    named = [name for row in re.findall(r"^\| (`.+?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert tuple(named) == COLUMNS
