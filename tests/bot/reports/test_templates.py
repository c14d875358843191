"""Rules that hold for every template file."""

from __future__ import annotations

import re

import pytest

from bot.reports.render import TEMPLATES, environment

FILES = sorted(TEMPLATES.glob("*.md.j2"))


@pytest.fixture(params=FILES, ids=lambda path: path.name.split(".")[0])
def source(request):
    return request.param.read_text("utf-8")


def test_there_are_templates():
    assert len(FILES) > 12


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.split(".")[0])
def test_every_template_compiles(path):
    assert environment().get_template(path.name)


def test_a_fold_has_its_summary_on_one_line_and_a_blank_line_below(source):
    lines = source.split("\n")
    for number, line in enumerate(lines):
        if "<details>" in line:
            assert re.fullmatch(r"<details><summary>.*</summary>", line)
            assert lines[number + 1] == ""
        if "</details>" in line:
            assert line == "</details>"
            assert lines[number - 1] == ""


def test_nothing_is_used_that_only_one_forge_or_no_mail_shows(source):
    for unwanted in ("[!", "mermaid", "- [ ]", "- [x]", "<br", "<img", "<table", "![", "<h1", "<h3", "<kbd"):
        assert unwanted not in source


def test_tables_have_at_most_three_columns(source):
    for line in source.split("\n"):
        if re.fullmatch(r"\|[-:| ]+\|", line):
            assert line.count("|") <= 4


def test_header_cells_are_never_empty_and_headings_begin_at_the_third_level(source):
    assert not re.search(r"\|[ \t]*\|(?!.*[{%])", source)
    if "# Commands\n\n<!--" not in source:
        assert not re.search(r"(?m)^##? ", source)


def test_nobody_is_mentioned_by_a_template(source):
    assert not re.search(r"(?<!`)@(?!gatewright verb)\w", source)


def test_a_name_that_a_template_does_not_get_is_an_error_not_a_gap():
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        environment().get_template("superseded.md.j2").render()


def test_a_value_that_is_no_text_is_an_error():
    with pytest.raises(TypeError, match="NoneType"):
        environment().from_string("{{ x }}").render(x=None)


def test_a_value_that_no_filter_disarmed_is_disarmed_all_the_same():
    assert environment().from_string("{{ x }}").render(x="<img>") == "&lt;img&gt;"
