from __future__ import annotations

import pytest

from runners.scope.ci import ci, first, generators, included
from tests.runners.scope.parts import changed, gone, new, paths, said, view


@pytest.mark.parametrize(
    "path",
    [
        ".gitlab-ci.yml", "sub/.gitlab-ci.yml", ".gitlab/ci/test.yml", ".github/workflows/x.yml",
        ".github/actions/a/run.sh", ".GITHUB/workflows/x.yml", ".circleci/config.yml", "azure-pipelines.yml",
        "Jenkinsfile", "ci/Jenkinsfile.deploy", ".travis.yml", "action.yml", "tools/lint/action.yaml",
        ".woodpecker/build.yml",
    ],
)  # fmt: skip
def test_files_of_ci(path: str) -> None:
    assert paths(ci(view(changed(path)))) == [path]
    assert paths(ci(view(gone(path)))) == [path]


@pytest.mark.parametrize("path", ["github/workflows/x.yml", "docs/gitlab-ci.md", "src/jenkins.py", "travis.yml"])
def test_files_that_only_look_so(path: str) -> None:
    assert paths(ci(view(changed(path)))) == []


@pytest.mark.parametrize(
    "text",
    [
        "include:\n  - local: '/ci/build.yml'\n",
        'include: "ci/build.yml"\n',
        "include: [{local: /ci/build.yml}]\n",
        "include:\n  local: ci/*.yml\n",
        "include:\n  - local: /$FOLDER/build.yml\n",
        "include:\n  - local: /${FOLDER}/build.yml\n",
        "include:\n  - local: '/**/build.yml'\n",
        "job:\n  trigger:\n    include: ci/build.yml\n",
        "include:\n  - project: me/mine\n    file: [/ci/build.yml]\n",
    ],
)
def test_what_a_ci_file_includes_is_ci(text: str) -> None:
    assert paths(ci(view(changed("ci/build.yml"), gitlab=text))) == ["ci/build.yml"]
    assert paths(ci(view(changed("deploy/other.yaml"), gitlab=text))) == []


def test_the_script_that_makes_a_child_pipeline_is_ci() -> None:
    text = (
        "make:\n  script: [python3 tools/pipeline.py > child.yml, ./tools/more.sh, python -m tools.gen]\n"
        "child:\n  trigger:\n    include:\n      - artifact: child.yml\n        job: make\n"
    )
    files = [changed(path) for path in ("tools/pipeline.py", "tools/more.sh", "tools/gen.py", "tools/unrelated.py")]
    assert paths(ci(view(*files, gitlab=text))) == ["tools/pipeline.py", "tools/more.sh", "tools/gen.py"]


def test_a_script_of_an_ordinary_job_is_no_generator() -> None:
    text = "test:\n  script: [python3 tools/pipeline.py]\n  artifacts:\n    paths: [out]\n"
    assert generators([text], {"tools/pipeline.py"}) == set()


def test_an_action_of_the_repository_is_ci_with_all_its_files() -> None:
    text = "jobs:\n  a:\n    steps:\n      - uses: ./tools/lint\n      - uses: './tools/other/'\n"
    files = [new("tools/lint/dist/index.js"), new("tools/linter.js"), new("tools/other/run.sh")]
    found = paths(ci(view(*files, github=text)))
    assert found == ["tools/lint/dist/index.js", "tools/other/run.sh"]


def test_which_files_are_read() -> None:
    listing = [".gitlab-ci.yml", "src/a.py", ".github/workflows/a.yml", ".github/CODEOWNERS", "ci/build.yml"]
    assert first(listing) == [".gitlab-ci.yml", ".github/workflows/a.yml"]
    assert included(["include: ci/build.yml"], listing) == ["ci/build.yml"]


def test_each_file_is_one_finding_with_its_reason() -> None:
    found = ci(view(changed(".gitlab-ci.yml"), gitlab="include: .gitlab-ci.yml"))
    assert said(found) == "CI reads **/.gitlab-ci*.y*ml"
