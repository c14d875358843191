"""Finding the document in whatever a model wraps around it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model.documents import extract, normalise
from tests.bot.model.test_plan_document import FORMAT as PLAN
from tests.bot.model.test_spec_document import FORMAT as SPEC

ANSWERS = {
    "bare": "{}",
    "with a word before": "Here is the document:\n\n{}",
    "in a markdown fence": "Sure!\n\n```markdown\n{}```\n\nTell me if it fits.",
    "in a plain fence": "```\n{}```",
    "in an md fence with tildes": "~~~md\n{}~~~\nBye",
    "in four back-ticks": "````markdown\n{}````\n\nRun it:\n\n```sh\nmake\n```\n",
    "after other code": "I ran:\n\n```sh\n# not a title\nmake\n```\n\n{}",
    "before other code": "```markdown\n{}```\n\nTry:\n\n```sh\n# no title\nmake\n```\n",
    "with windows line ends": "Well:\r\n```markdown\r\n{}```\r\n",
    "cut off before its end": "```markdown\n{}",
}


@pytest.mark.parametrize("document", [SPEC, PLAN], ids=["spec", "plan"])
@pytest.mark.parametrize("shape", ANSWERS)
def test_the_document_is_found_whole(shape, document):
    assert normalise(extract(ANSWERS[shape].replace("{}", document))) == document


def test_an_answer_without_a_document_is_left_for_the_parser_to_complain():
    assert extract("I cannot do that.") == "I cannot do that."


@pytest.mark.parametrize("piece", ["```\n", "# \n", "```\n# \n", " \n", "~~~x\n", "```\n\n"])
def test_a_hostile_answer_of_any_shape_is_read_in_a_moment(piece):
    started = time.process_time()
    extract(piece * (200_000 // len(piece)))
    assert time.process_time() - started < 3  # a quadratic reading takes minutes


@given(st.text("`~# \nmarkdown", max_size=200))
def test_any_answer_gives_some_text(answer):
    assert isinstance(extract(answer), str)
