"""Rules about tests that go, or say less than before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from runners.scope.globs import any_matches
from runners.scope.view import File, Finding, Rule, View, about

TESTS: Final = (
    "**/test/**", "**/tests/**", "**/testing/**", "**/__tests__/**", "**/spec/**", "**/specs/**", "**/e2e/**",
    "**/test_*", "**/*_test.*", "**/*.test.*", "**/*.spec.*", "**/*_spec.*", "**/*Test.java", "**/*Tests.java",
    "**/*IT.java", "**/*Test.kt", "**/*Test*.cs", "**/*Test.php", "**/conftest.py",
)  # fmt: skip
PROSE: Final = (".md", ".rst", ".txt", ".adoc", ".html", ".svg")
ASSERTION: Final = re.compile(
    r"\bassert\w*\b|\bexpect\w*\s*\(|\bshould\b|\brequire\.\w|\bt\.(?:Error|Fatal|Fail)\w*\("
    r"|\b(?:EXPECT|ASSERT|CHECK|REQUIRE)\w*\s*\(|\bverify\w*\s*\(|\braises\s*\(",
)
FUNCTION: Final = re.compile(
    r"^\s*(?:(?:async\s+)?def\s+test|(?:it|test|describe|specify)\s*(?:\.\w+\s*)?\(|func\s+(?:Test|Fuzz|Example)"
    r"|@(?:Parameterized|Repeated)?Test\b|#\[(?:\w+::)?test|TEST\w*\s*\()"
)
SKIP: Final = re.compile(
    r"\b(?:skip|skipIf|skipUnless|skipTest|skipif|Skip|Skipf|SkipNow|importorskip)\s*\(|\bmark\.(?:skip|xfail)"
    r"|\bxfail\b|\bexpectedFailure\b|\bcollect_ignore|\.(?:only|skip|todo|failing)\b|\b(?:fit|fdescribe|xit|xdescribe"
    r"|xtest)\s*\(|@(?:Disabled|Ignore)\b|#\[ignore|\[(?:Ignore|Skip)\b|\bskip\s*[:=]\s*[Tt]rue|unittest\.skip"
)
SILENCED: Final = re.compile(
    r"\|\|\s*(?:true|:)\s*(?:$|[;&)#\"'])|#\s*(?:type|pyright|mypy|ty):\s*ignore|#\s*noqa|#\s*nosec"
    r"|pragma:\s*no\s*cover|eslint-disable|@ts-(?:ignore|nocheck|expect-error)|NOLINT|//\s*nolint|biome-ignore"
    r"|@SuppressWarnings|#!?\[allow\(|(?:istanbul|c8|v8)\s+ignore|rubocop:disable|phpcs:(?:ignore|disable)"
    r"|continue-on-error:\s*true|allow_failure:\s*true|--no-verify\b|-DskipTests|--exit-zero\b"
)


def tests_deleted(view: View) -> Iterator[Finding]:
    """See tests that are no longer where they were."""
    stands = {file.sha256: file.path for file in view.files if not file.is_gone}
    for file in view.files:
        if file.is_gone and is_test(file.path):
            now = stands.get(file.old_sha256)
            yield about(Rule.TESTS_DELETED, file, f"moved to {now}" if now else "deleted")


def tests_weakened(view: View) -> Iterator[Finding]:
    """See tests that ask for less than before, and checks that are told to look away."""
    for file in view.files:
        if file.is_gone:
            continue
        said = list(_less(file)) if is_test(file.path) else []
        if not file.path.casefold().endswith(PROSE) and (more := _more(file, SILENCED)):
            said.append(f"{more} check(s) silenced")
        if said:
            yield about(Rule.TESTS_WEAKENED, file, ", ".join(said))


def is_test(path: str) -> bool:
    """Tell by its path whether a file belongs to the tests."""
    return bool(any_matches(TESTS, path))


def _less(file: File) -> Iterator[str]:
    if fewer := _lost(file, ASSERTION):
        yield f"{fewer} assertion(s) removed or changed"
    if fewer := _lost(file, FUNCTION):
        yield f"{fewer} test(s) removed or renamed"
    if more := _more(file, SKIP):
        yield f"{more} test(s) skipped or left out"


def _lost(file: File, pattern: re.Pattern[str]) -> int:
    """Count lines that are gone; white space is not compared, so that moving a block is no loss."""

    def count(lines: tuple[str, ...]) -> Counter[str]:
        return Counter("".join(line.split()) for line in lines if pattern.search(line))

    return (count(file.removed) - count(file.added)).total()


def _more(file: File, pattern: re.Pattern[str]) -> int:
    added, removed = (sum(len(pattern.findall(line)) for line in lines) for lines in (file.added, file.removed))
    return max(added - removed, 0)
