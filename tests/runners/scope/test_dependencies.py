from __future__ import annotations

import pytest

from runners.scope.dependencies import LARGEST, new_dependency
from tests.runners.scope.parts import changed, gone, new, said, view

BASE = '[project]\ndependencies = ["httpx>=0.28"]\n'
TABLE = [
    ("pyproject.toml", "", '[project]\ndependencies = ["httpx>=1", "Evil_Pkg[x]>=2"]\n', "evil-pkg, httpx"),
    ("pyproject.toml", BASE, BASE + 'optional-dependencies.x = ["six"]\n', "six"),
    ("pyproject.toml", BASE, BASE + '[dependency-groups]\ndev = ["six", {include-group = "x"}]\n', "six"),
    ("pyproject.toml", BASE, BASE + '[build-system]\nrequires = ["own-backend"]\n', "own-backend"),
    ("pyproject.toml", BASE, BASE + '[tool.poetry.group.dev.dependencies]\nsix = "*"\n', "six"),
    ("pyproject.toml", BASE, '[project]\ndependencies = ["httpx @ git+https://h/x"]\n', "httpx @ git+https://h/x"),
    ("requirements.txt", "a==1\n", "a==2\nB.c==1 # why\n", "b-c"),
    ("requirements/dev-requirements.txt", "", "-r other.txt\n", "-r other.txt"),
    ("requirements.txt", "a\n", "a\n--index-url https://h/\n", "--index-url https://h/"),
    ("setup.cfg", "", "[options]\ninstall_requires =\n  six>=1\n  attrs\n", "attrs, six"),
    ("setup.cfg", "", "[options.extras_require]\ndev = six\n", "six"),
    ("package.json", '{"dependencies": {"a": "1"}}', '{"dependencies": {"a": "2"}, "devDependencies": {"b": ""}}', "b"),
    ("package.json", '{"dependencies": {"a": "1"}}', '{"dependencies": {"a": "npm:evil@1"}}', "npm:evil@1"),
    ("web/package.json", "", '{"peerDependencies": {"@x/y": "*"}}', "@x/y"),
    ("composer.json", "{}", '{"require": {"v/p": "*"}}', "v/p"),
    ("Cargo.toml", "", '[dependencies]\nserde = "1"\n[dev-dependencies.x]\nversion = "1"\n', "serde, x"),
    ("Cargo.toml", '[dependencies]\na = "1"\n', '[dependencies]\na = {package = "evil"}\n', "evil"),
    ("Cargo.toml", "", "[target.'cfg(unix)'.dependencies]\nlibc = \"0\"\n", "libc"),
    ("Cargo.toml", "", '[workspace.dependencies]\ntokio = "1"\n', "tokio"),
    ("go.mod", "module m\n", "module m\nrequire (\n\tgolang.org/x/net v1\n)\n", "golang.org/x/net"),
    ("go.mod", "require a.b/c v1\n", "require a.b/c v1\nreplace a.b/c => d.e/f v2\n", "d.e/f"),
    ("Gemfile", "", 'gem "rake", "~> 1"\n', "rake"),
    ("pom.xml", "", "<dependency><groupId>g.x</groupId><artifactId>art</artifactId></dependency>", "art, g.x"),
    ("build.gradle.kts", "", 'implementation("g.x:art:1.0")\n', "g.x:art"),
    ("src/App.csproj", "", '<PackageReference Include="Newtonsoft.Json" Version="1" />', "Newtonsoft.Json"),
]  # fmt: skip
MISSES = [
    ("pyproject.toml", BASE, BASE.replace("0.28", "0.29")),
    ("pyproject.toml", '[project]\ndependencies = ["Foo_Bar"]\n', '[project]\ndependencies = ["foo-bar>=2"]\n'),
    ("pyproject.toml", BASE, BASE + '[tool.ruff]\nselect = ["ALL"]\n'),
    ("requirements.txt", "a==1\nb\n", "b\na==3\n"),
    ("package.json", '{"dependencies": {"a": "1"}}', '{"devDependencies": {"a": "1"}}'),
    ("package.json", "{}", '{"keywords": ["a"]}'),
    ("Cargo.toml", "", '[package]\nname = "x"\n[features]\ndefault = []\n'),
    ("go.mod", "module m\n", "module m\ngo 1.22\n"),
    ("src/requirements.py", "", "import evil\n"),
    ("setup.cfg", "", "[metadata]\nname = x\n"),
]


@pytest.mark.parametrize(("path", "old", "text", "names"), TABLE)
def test_a_new_name_is_a_finding(path: str, old: str, text: str, names: str) -> None:
    assert said(new_dependency(view(changed(path, old, text)))) == f"adds {names}"


@pytest.mark.parametrize(("path", "old", "text"), MISSES)
def test_a_near_miss(path: str, old: str, text: str) -> None:
    assert said(new_dependency(view(changed(path, old, text)))) == ""


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pyproject.toml", "[[["),
        ("pyproject.toml", "project = 1\n"),
        ("pyproject.toml", "x = " + "[" * 5_000),
        ("package.json", '{"dependencies": ["a"]}'),
        ("package.json", "[" * 100_000),
        ("setup.cfg", "no section\n"),
        ("Cargo.toml", "[x"),
        ("requirements.txt", "a\n" * LARGEST),
    ],
)
def test_what_cannot_be_read_is_a_finding_of_its_own(path: str, text: str) -> None:
    assert said(new_dependency(view(new(path, text)))) == "cannot be read, so what it depends on is not known"


def test_where_the_old_one_cannot_be_read_everything_is_new() -> None:
    file = changed("package.json", "{", '{"dependencies": {"a": "1"}}')
    assert said(new_dependency(view(file))) == "adds a"


def test_a_manifest_that_is_gone_adds_nothing() -> None:
    assert said(new_dependency(view(gone("requirements.txt", "a\n")))) == ""
