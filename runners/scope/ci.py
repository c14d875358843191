"""The rule about what CI runs: its files, what they include, and what makes more of them.

YAML is not parsed: whatever word of a CI file could name a path counts as naming it. That finds too much at worst, and
no spelling of YAML gets round it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from runners.scope.globs import any_matches, matches
from runners.scope.view import Finding, Rule, View, about

FILES: Final = (
    "**/.gitlab-ci*.y*ml", ".gitlab/**", ".github/workflows/**", ".github/actions/**", "**/action.y*ml",
    ".circleci/**", "**/azure-pipelines*.y*ml", ".azure-pipelines/**", ".azuredevops/**", "**/Jenkinsfile*",
    ".travis.yml", "**/appveyor.yml", "**/.appveyor.yml", "bitbucket-pipelines.yml", ".drone.y*ml", ".drone.star",
    ".woodpecker.y*ml", ".woodpecker/**", ".buildkite/**", ".teamcity/**", "**/cloudbuild.y*ml", ".gitea/**",
    ".forgejo/**", ".cirrus.yml", ".cirrus.star", ".semaphore/**", ".github/dependabot.y*ml", "renovate.json*",
    ".github/renovate.json*",
)  # fmt: skip
# Of these the text is read, to see what it brings in.
SPEAKING: Final = ("**/.gitlab-ci*.y*ml", ".gitlab/**/*.y*ml", ".github/workflows/*.y*ml", ".github/actions/**/*.y*ml")
WORD: Final = re.compile(r"[^\s'\"\[\]{},;&|()<>`=#]+")
VARIABLE: Final = re.compile(r"\$\w+|\$\{\w+\}")
USES: Final = re.compile(r"uses:\s*['\"]?\.?/?(\./[^\s'\"@#]+)")
GENERATED: Final = re.compile(r"\bartifact['\"]?\s*:")
MODULE: Final = re.compile(r"^[A-Za-z_]\w*(?:\.\w+)+$")


def ci(view: View) -> Iterator[Finding]:
    """See what CI runs with its secrets."""
    changed = [file.path for file in view.files]
    texts = [document.text for document in view.documents]
    brought = set(included(texts, changed))
    actions = {place.removeprefix("./").strip("/") for text in texts for place in USES.findall(text)}
    makers = generators(texts, set(changed))
    for file in view.files:
        parts = file.path.split("/")
        above = {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
        if pattern := any_matches(FILES, file.path):
            yield about(Rule.CI, file, f"CI reads {pattern}")
        elif file.path in brought:
            yield about(Rule.CI, file, "a CI file names it, so CI may include it")
        elif above & actions:
            yield about(Rule.CI, file, "part of an action that a workflow uses")
        elif file.path in makers:
            yield about(Rule.CI, file, "makes the configuration of a child pipeline, as far as CI files tell")


def first(paths: Iterable[str]) -> list[str]:
    """List the CI files that are read first; what they include follows."""
    return [path for path in paths if any_matches(SPEAKING, path)]


def included(texts: Iterable[str], paths: Collection[str]) -> list[str]:
    """List the YAML files among `paths` that any of the texts names, by path or by glob."""
    candidates = [path for path in paths if path.casefold().endswith((".yml", ".yaml"))]
    words = {
        word.removeprefix("./").lstrip("/")
        for text in texts
        for word in WORD.findall(VARIABLE.sub("*", text))
        if word.casefold().endswith((".yml", ".yaml"))
    }
    globs = [word for word in words if "*" in word]
    return [path for path in candidates if path in words or any(matches(glob, path) for glob in globs)]


def generators(texts: Iterable[str], paths: Collection[str]) -> set[str]:
    """Name the paths that occur in CI files, where any of these runs a pipeline that a job has made."""
    texts = list(texts)
    if not any(GENERATED.search(text) for text in texts):
        return set()
    found: set[str] = set()
    for text in texts:
        for word in WORD.findall(text):
            found.add(word.removeprefix("./").lstrip("/"))
            if MODULE.match(word):  # python -m tools.pipeline
                found |= {word.replace(".", "/") + ".py", word.replace(".", "/") + "/__main__.py"}
    return found & set(paths)
