"""The rule about secrets: what a change adds that the redactor would cut out, by place and kind and never by value."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from bot.audit.redact import GIVEN, find, redacted
from runners.scope.globs import matches
from runners.scope.view import Finding, Rule, View, about, listed

ANY: Final = "*"


class Leak(msgspec.Struct, frozen=True):
    """One secret that a change adds; `line` counts from 1, 0 for a name or a message. `path` is redacted itself."""

    path: str
    line: int
    kind: str

    def __str__(self) -> str:
        """Say where it is and of which kind, as people and agents read it."""
        return f"{self.path} line {self.line}: {self.kind}" if self.line else f"{self.path}: {self.kind}"


class Content(msgspec.Struct, frozen=True):
    """One changed path with its bytes before and after."""

    path: str
    old: bytes = b""
    new: bytes = b""
    is_new: bool = False


class Exemption(msgspec.Struct, frozen=True):
    """One entry of `[secrets] allow`: `glob:kind`, where the kind may be `*`."""

    glob: str
    kind: str

    def covers(self, path: str, kind: str) -> bool:
        """Tell whether it lets a secret pass; those of the server's own settings pass nowhere."""
        return kind != GIVEN and self.kind in (ANY, kind) and matches(self.glob, path)


def exemptions(table: Any) -> tuple[Exemption, ...]:
    """Read the [secrets] table of a `.gatewright.toml`; ValueError says what is wrong with it."""
    allow = table.get("allow", []) if isinstance(table, dict) else None
    if not isinstance(allow, list) or not all(isinstance(each, str) for each in allow):
        raise ValueError("`allow` under [secrets] must be a list of texts")
    found = []
    for entry in allow:
        glob, _, kind = entry.rpartition(":")
        if not glob or not kind:
            raise ValueError(f"`{entry[:80]}` is not `glob:kind`")
        found.append(Exemption(glob, kind))
    return tuple(found)


def leaks(
    contents: Iterable[Content], allowed: Sequence[Exemption] = (), known: Collection[str] = ()
) -> tuple[Leak, ...]:
    """List the secrets that are in no old content and in a new one or its name; what only moved is none.

    `known` are the server's own secrets.
    """
    changed = list(contents)
    before = {each.old[hit.start : hit.end] for each in changed for hit in find(each.old, known)}
    return tuple(dict.fromkeys(leak for each in changed for leak in _of(each, before, allowed, known)))


def _of(
    content: Content, before: Collection[bytes], allowed: Sequence[Exemption], known: Collection[str]
) -> Iterator[Leak]:
    path = redacted(content.path, known)
    if content.is_new and path != content.path:
        yield Leak(path, 0, "a secret in its name")
    for start, end, kind in find(content.new, known):
        is_allowed = any(each.covers(content.path, kind) for each in allowed)
        if not is_allowed and content.new[start:end] not in before:
            yield Leak(path, content.new.count(b"\n", 0, start) + 1, kind)


def secret(view: View, allowed: Sequence[Exemption] = ()) -> Iterator[Finding]:
    """See secrets in what changed: findings are about work that is on the forge already, ours is held back before."""
    contents = [
        Content(file.path, file.old.encode("utf-8", "replace"), file.new.encode("utf-8", "replace"), file.is_new)
        for file in view.files
    ]
    found = leaks(contents, allowed)
    for file in view.files:
        path = redacted(file.path)
        if places := [
            f"{leak.kind} in line {leak.line}" if leak.line else leak.kind for leak in found if leak.path == path
        ]:
            finding = about(Rule.SECRET, file, listed(places))
            yield msgspec.structs.replace(finding, path=path)
