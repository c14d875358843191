"""The rule about code that comes from elsewhere: names that a manifest did not hold before."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from runners.scope.globs import matches
from runners.scope.view import File, Finding, Rule, View, about, listed

LARGEST: Final = 256 << 10  # characters of a manifest
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
GO: Final = re.compile(r"^\s*(?:require\s+|replace\s+|tool\s+)?([\w.-]+\.[\w.-]+/\S+)")
GO_INSTEAD: Final = re.compile(r"=>\s*(\S+)")
GEM: Final = re.compile(r"^\s*(?:gem|source|git|path|github)\b\s*\(?\s*['\"]([^'\"]+)")
MAVEN: Final = re.compile(r"<(?:artifactId|groupId|url)>\s*([^<\s]+)")
GRADLE: Final = re.compile(r"['\"]([\w.-]+:[\w.-]+)(?::[^'\"]*)?['\"]")
NUGET: Final = re.compile(r"<PackageReference\s[^>]*?(?:Include|Update)\s*=\s*\"([^\"]+)")


def new_dependency(view: View) -> Iterator[Finding]:
    """See what a project begins to depend on; versions of what it has already are no finding."""
    for file in view.files:
        read = next((reader for pattern, reader in READERS if matches(pattern, file.path)), None)
        if read is None or file.is_gone:
            continue
        if not file.is_readable or len(file.new) > LARGEST:
            yield about(Rule.DEPENDENCY, file, "cannot be read, so what it depends on is not known")
            continue
        try:
            new = read(file.new)
        except (ValueError, RecursionError, AttributeError, TypeError, configparser.Error):
            yield about(Rule.DEPENDENCY, file, "cannot be read, so what it depends on is not known")
            continue
        if brought := new - _before(file, read):
            yield about(Rule.DEPENDENCY, file, f"adds {listed(brought)}")


def _before(file: File, read: Callable[[str], set[str]]) -> set[str]:
    try:
        return read(file.old)
    except (ValueError, RecursionError, AttributeError, TypeError, configparser.Error):
        return set()  # then everything in it is new


def _named(requirement: str) -> str:
    """Normalise `Foo_Bar[extra]>=1` to `foo-bar`; what comes from a place of its own stays as it is."""
    whole = requirement.strip()
    found = NAME.match(whole)
    rest = whole[found.end() :] if found else ""
    is_plain = "@" not in rest and "://" not in rest and re.match(r"[\s\[;=<>!~(,]|$", rest)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found and is_plain else whole


def _python(text: str) -> set[str]:
    table = tomllib.loads(text)
    project, tool = table.get("project", {}), table.get("tool", {})
    lists = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
    lists += [*table.get("dependency-groups", {}).values(), table.get("build-system", {}).get("requires", [])]
    lists += [*tool.get("pdm", {}).get("dev-dependencies", {}).values()]
    lists += [tool.get("uv", {}).get(key, []) for key in ("dev-dependencies", "override-dependencies")]
    found = {_named(entry) for entries in lists for entry in entries if isinstance(entry, str)}
    poetry = tool.get("poetry", {})
    tables = [poetry.get("dependencies", {}), poetry.get("dev-dependencies", {})]
    tables += [group.get("dependencies", {}) for group in poetry.get("group", {}).values()]
    return found | {_named(name) for entries in tables for name in entries}


def _requirements(text: str) -> set[str]:
    lines = (re.sub(r"(?:^|\s)#.*", "", line).strip() for line in text.replace("\\\n", " ").split("\n"))
    return {line if line.startswith("-") else _named(line) for line in lines if line and not line.startswith("--hash")}


def _setup_cfg(text: str) -> set[str]:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(text)
    keys = ("install_requires", "setup_requires", "tests_require")
    values = [parser.get("options", key, fallback="") for key in keys]
    if parser.has_section("options.extras_require"):
        values += [value for _, value in parser.items("options.extras_require")]
    return {_named(line) for value in values for line in value.split("\n") if line.strip()}


def _json(*keys: str) -> Callable[[str], set[str]]:
    def read(text: str) -> set[str]:
        table = json.loads(text) if text.strip() else {}
        found: set[str] = set()
        for key in keys:
            for name, version in table.get(key, {}).items():
                found.add(name)
                if isinstance(version, str) and version.startswith("npm:"):  # another package under a known name
                    found.add(version)
        return found

    return read


def _cargo(text: str) -> set[str]:
    return set(_cargo_names(tomllib.loads(text)))


def _cargo_names(table: dict[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if key.endswith("dependencies") and isinstance(value, dict):
            for name, entry in value.items():
                yield name
                if isinstance(entry, dict) and "package" in entry:
                    yield str(entry["package"])
        elif key in ("workspace", "target", "patch", "replace") or key.startswith("cfg("):
            yield from _cargo_names(value) if isinstance(value, dict) else ()
        elif isinstance(value, dict) and any(inner.endswith("dependencies") for inner in value):
            yield from _cargo_names(value)


def _found(*patterns: re.Pattern[str]) -> Callable[[str], set[str]]:
    def read(text: str) -> set[str]:
        return {name for line in text.split("\n") for pattern in patterns for name in pattern.findall(line)}

    return read


READERS: Final[Iterable[tuple[str, Callable[[str], set[str]]]]] = (
    ("**/pyproject.toml", _python),
    ("**/*requirements*.txt", _requirements),
    ("**/requirements/*.txt", _requirements),
    ("**/*constraints*.txt", _requirements),
    ("**/setup.cfg", _setup_cfg),
    (
        "**/package.json",
        _json(
            "dependencies", "devDependencies", "peerDependencies", "optionalDependencies", "overrides", "resolutions"
        ),
    ),
    ("**/composer.json", _json("require", "require-dev")),
    ("**/Cargo.toml", _cargo),
    ("**/go.mod", _found(GO, GO_INSTEAD)),
    ("**/Gemfile", _found(GEM)),
    ("**/*.gemspec", _found(re.compile(r"dependency\s*\(?\s*['\"]([^'\"]+)"))),
    ("**/pom.xml", _found(MAVEN)),
    ("**/*.gradle", _found(GRADLE)),
    ("**/*.gradle.kts", _found(GRADLE)),
    ("**/*.csproj", _found(NUGET)),
    ("**/Directory.Packages.props", _found(re.compile(r"<PackageVersion\s[^>]*?Include\s*=\s*\"([^\"]+)"))),
)
