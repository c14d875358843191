"""Docs say what the code does: nothing missing, nothing stale, no link that leads nowhere."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import jsonschema
import msgspec
import pytest

from bot import __version__
from bot.model.command import Verb
from bot.settings import Settings
from bot.settings_file import fields, load, section_of
from bot.terminal.follow import Exit
from tests.docs import PAGES, main, stale
from tests.house.code import ASSEMBLED, CODE, ROOT, codes, prefixes, sources, version

PROSE = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
EXAMPLE = ROOT / "config" / "gatewright.example.toml"
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
MADE_BY_OTHERS = {"constraints.txt"}
# Split, so that this file does not hold what it looks for.
NEVER = (
    "/" + "work/", "/tmp/" + "gw", "/home/" + r"(?!agent\b)[a-z]", "/Us" + "ers/", "/opt/" + "pypi", "/opt/" + "wheels",
    "TO" + "DO", "FIX" + "ME", "X" + "XX", "Co-Authored" + "-By", "Generated " + "with", "lorem " + "ipsum",
)  # fmt: skip
TRIED = ("tests/", "bot/terminal/sample/")  # fixtures may name any path


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(markdown: str) -> set[str]:
    """Name the headings as GitHub does: lower case, no punctuation, dashes."""
    prose = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#{1,6} +(.+?) *$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_pages_made_from_code_are_fresh() -> None:
    assert stale() == [], "run `make docs`"
    assert main(["--check"]) == 0


def test_the_maker_of_pages_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "--write | --check" in capsys.readouterr().err


def test_every_setting_is_described() -> None:
    page = PAGES["docs/configuration.md"]()
    for table, kind, _ in fields(Settings):
        inner = section_of(kind)
        assert inner is not None, table
        assert f"## `[{table}" in page
        for key, _, meaning in fields(inner):
            assert f"| `{key}` |" in page
            assert meaning or table in {"profile", "profiles"} or inner.__name__ == "Price", (table, key)


def test_every_verb_is_described() -> None:
    page = text("docs/commands.md")
    assert [verb for verb in Verb if f"### {verb.value}\n" not in page] == []


def test_every_exit_code_is_described() -> None:
    page = text("docs/cli.md")
    assert [code for code in (*map(int, Exit), 130) if f"| {code} | " not in page] == []


def test_codes_that_are_put_together_come_from_known_places() -> None:
    assert prefixes() == set(ASSEMBLED), "say in tests/house/code.py where the endings come from"


def test_every_error_code_is_described_and_no_other() -> None:
    rows = [line for line in text("docs/errors.md").splitlines() if line.startswith("| `GW-")]
    described = [code for row in rows for code in re.findall(r"`(GW-[A-Z0-9-]+)`", row.split("|")[1])]
    assert len(described) == len(set(described)), "a code stands there twice"
    missing = {code: place for code, place in codes().items() if code not in set(described)}
    assert not missing, "add a row to docs/errors.md"
    assert set(described) <= set(codes()), "docs/errors.md describes codes that nothing raises"


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_codes_named_in_prose_exist(path: Path) -> None:
    named = {found.group() for found in re.finditer(r"GW(-[A-Z0-9]+)+(?![-A-Z0-9.])", path.read_text(encoding="utf-8"))}
    assert named <= set(codes())


def test_texts_of_blocked_tasks_are_for_codes_that_exist() -> None:
    blocked = tomllib.loads(text("bot/reports/problems.toml"))
    assert blocked
    assert all(CODE.fullmatch(code) and code in codes() for code in blocked)


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in LINK.findall(prose):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        to = (path.parent / name).resolve() if name else path
        assert to.exists(), link
        assert to.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(to.read_text(encoding="utf-8")), link


def test_pages_are_reachable_from_the_readme() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(page.read_text(encoding="utf-8")))
        waiting += [(page.parent / link).resolve() for link in links if link and ":" not in link]
    assert set(PROSE) <= seen


def tracked() -> list[Path]:
    """List the files of the project: what git knows or would take in."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_private_machine_or_holds_unfinished_work() -> None:
    found = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(TRIED) or name in MADE_BY_OTHERS:
            continue
        content = path.read_bytes().decode("utf-8", "replace")
        found += [f"{name}: {each.group()}" for never in NEVER for each in re.finditer(never, content)]
    assert not found


def test_the_version_is_one_and_has_its_entry() -> None:
    assert version() == __version__
    heads = re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(version())} - \d{{4}}-\d\d-\d\d", heads[1])


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/start.md"])
def test_commands_of_make_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    asked = set(
        re.findall(r"\bmake ([a-z]+)\b", "\n".join(re.findall(r"`make[^`]*`|^make .*$", text(name), re.MULTILINE)))
    )
    assert asked
    assert asked <= targets


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_verbs_of_the_command_line_exist(path: Path) -> None:
    known = set(re.findall(r"^## gatewright (.+)$", text("docs/cli.md"), re.MULTILINE))
    known |= {verb.split()[0] for verb in known}
    for words in re.findall(
        r"(?:`|^|bin/)gatewright ([a-z]+)(?= [-A-Z\"#.]|`|$)", path.read_text(encoding="utf-8"), re.MULTILINE
    ):
        assert words in known, words


def test_the_example_is_usable_and_says_the_defaults(tmp_path: Path) -> None:
    raw = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    for name in ("github-app.pem", "webhook-secrets", "anthropic.key"):
        (tmp_path / name).write_text("s3cret\n")
    copy = tmp_path / "gatewright.toml"
    copy.write_text(EXAMPLE.read_text(encoding="utf-8"))
    settings = load(copy, {})
    assert settings.github.webhook_secrets == ("s3cret",)
    defaults = msgspec.to_builtins(Settings())
    for table, keys in raw.items():
        for key, value in keys.items():
            if table not in {"github", "providers"}:
                assert defaults[table][key] == value, f"{table}.{key}"


def test_the_example_follows_the_published_schema() -> None:
    schema = json.loads(text("config/gatewright.schema.json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema)
    assert list(checker.iter_errors(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))) == []
    assert list(checker.iter_errors({"server": {"prot": 1}})), "an unknown key is an error in editors as well"


def test_the_readme_is_short_and_leads_with_the_two_commands() -> None:
    readme = text("README.md")
    assert readme.index("make demo") < 2_500
    assert readme.count("\n") < 120
    assert len(sources()) > 100
