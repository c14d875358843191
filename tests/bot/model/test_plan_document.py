"""plan.md: steps with files, criteria and how each is verified, held against its spec."""

from __future__ import annotations

from importlib.resources import files

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from bot.model.documents import DocumentError, parse_plan, parse_spec, plan_json, render_plan
from bot.model.evidence import Criterion, Plan, PlanStep, Spec
from tests.bot.model.test_spec_document import blocks, entries, words

FORMATS = files("bot.model.formats")
SPEC = parse_spec(FORMATS.joinpath("spec.md").read_text())
FORMAT = FORMATS.joinpath("plan.md").read_text()
TWO = Spec("T", "S", (Criterion("AC-1", "a"), Criterion("AC-2", "b")))
HEAD = "# Plan: T\n\nS\n\n## Steps\n\n"
STEP = "### 1. Do\n\n- Files: `a.py`\n- Criteria: AC-1, AC-2\n- Verify: `make test`\n"

paths = st.lists(st.text("abcXYZ019_-. äé()+@", min_size=1, max_size=8), min_size=1, max_size=3).map("/".join)
steps = st.builds(
    PlanStep,
    number=st.just(0),
    title=words,
    detail=st.one_of(st.just(""), blocks),
    files=st.lists(paths, min_size=1, max_size=3, unique=True).map(tuple),
    criteria=st.sampled_from([("AC-1",), ("AC-2", "AC-1"), ("AC-2",)]),
    verify=words,
)
plans = st.builds(
    Plan,
    title=words,
    summary=blocks,
    steps=st.lists(steps, min_size=1, max_size=4).map(
        lambda found: tuple(msgspec.structs.replace(step, number=n) for n, step in enumerate(found, 1))
    ),
    risks=entries,
)


def test_the_format_shown_to_people_and_models_is_in_its_own_normal_form():
    assert render_plan(parse_plan(FORMAT, SPEC)) == FORMAT


@given(plans)
def test_a_plan_that_can_be_written_is_read_back_as_the_same_value(plan):
    try:
        text = render_plan(plan)
    except DocumentError:
        return
    if {wanted for step in plan.steps for wanted in step.criteria} == {"AC-1", "AC-2"}:
        assert parse_plan(text, TWO) == plan


def _said(document: str) -> DocumentError | None:
    try:
        parse_plan(document, TWO)
    except DocumentError as error:
        return error
    return None


@given(st.text(max_size=300))
def test_no_text_makes_the_parser_fail_otherwise_than_in_words(text):
    for document in (text, HEAD + text, HEAD + STEP + text, HEAD + "### 1. Do\n" + text):
        assert _said(document) is None or _said(document).line >= 1


@pytest.mark.parametrize(
    "text",
    [
        "# T\n\nS\n\n## Steps\n\n### Step 1: Do\nFiles: a.py\nCriteria: AC-1, AC-2\nVerify: make test\n",
        HEAD + "### 1) Do\n\n**Files:** `a.py` (new)\n**Criteria**: AC-1, AC-2\n\n* verify: make\n  test\n",
    ],
)
def test_the_shapes_that_models_mix_up_are_understood(text):
    assert parse_plan(text, TWO).steps == (PlanStep(1, "Do", "", ("a.py",), ("AC-1", "AC-2"), "make test"),)


def test_details_keep_their_code_even_where_it_looks_like_a_heading_or_a_field():
    detail = "Why.\n\n```sh\n### 2. no step\nFiles: none\n```\n\n#### More"
    plan = parse_plan(HEAD + STEP + "\n" + detail + "\n", TWO)
    assert plan.steps[0].detail == detail


def _step(old: str, new: str) -> str:
    return HEAD + STEP.replace(old, new)


WRONG = {
    "no steps section": ("# Plan: T\n\nS\n", 3, "## Steps"),
    "no steps": (HEAD, 5, "1 to 99 headings"),
    "prose before the steps": (HEAD + "First:\n\n" + STEP, 7, "### 1. what to do"),
    "a wrong number": (_step("### 1.", "### 2."), 7, "### 1. what to do"),
    "a step without title": (_step("### 1. Do", "### Do"), 7, "### 1. what to do"),
    "no files": (_step("- Files: `a.py`\n", ""), 7, "- Files:"),
    "empty files": (_step("`a.py`", ""), 7, "- Files:"),
    "no criteria": (_step("- Criteria: AC-1, AC-2\n", ""), 7, "- Criteria:"),
    "no verify": (_step("- Verify: `make test`\n", ""), 7, "- Verify:"),
    "a field twice": (_step("- Verify: `make test`", "- Files: b.py"), 11, "each field once"),
    "a field among details": (HEAD + STEP + "\nWell.\n\nVerify: more\n", 15, "before the details"),
    "an id that is none": (_step("AC-2", "AC2"), 10, "AC-1, AC-2"),
    "an id twice": (_step("AC-2", "AC-1"), 10, "AC-1, AC-2"),
    "a criterion the spec has not": (_step("AC-1, AC-2", "AC-1, AC-2, AC-3"), 7, "AC-1 to AC-2"),
    "a criterion no step serves": (_step("AC-1, AC-2", "AC-2"), 7, "every criterion"),
    "an absolute path": (_step("`a.py`", "`/etc/passwd`"), 9, "below the repository"),
    "a way out": (_step("`a.py`", "src/../../x"), 9, "below the repository"),
    "git's folder": (_step("`a.py`", ".GIT/hooks/pre-commit"), 9, "below the repository"),
    "the evidence": (_step("`a.py`", ".gatewright/tasks/1-aaaaaa/spec.md"), 9, "below the repository"),
    "a file twice": (_step("`a.py`", "a.py, `a.py`"), 9, "below the repository"),
    "a folder": (_step("`a.py`", "src/"), 9, "below the repository"),
    "an unknown section": (HEAD + STEP + "\n## Risk\n", 13, "did you mean `## Risks`?"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_fault_names_its_line_and_what_is_expected(case):
    text, line, expected = WRONG[case]
    with pytest.raises(DocumentError) as caught:
        parse_plan(text, TWO)
    assert caught.value.line == line
    assert expected in caught.value.expected


@given(plans)
def test_plan_json_is_canonical_and_ends_in_one_newline(plan):
    raw = plan_json(plan)
    assert raw == rfc8785.dumps(msgspec.json.decode(raw)) + b"\n"
    assert msgspec.json.decode(raw)["steps"][0]["title"] == plan.steps[0].title


def test_the_same_plan_gives_the_same_bytes_however_it_was_typed():
    loose = FORMAT.replace("- Files: ", "Files: ").replace("`src/pay/errors.py`", "src/pay/errors.py (new)")
    assert plan_json(parse_plan(loose, SPEC)) == plan_json(parse_plan(FORMAT, SPEC))
