from __future__ import annotations

import pytest

from bot.app import check_all
from bot.model.errors import UsageError
from bot.project_secrets import check_projects, own_secrets
from bot.settings import GitHub, GitLab, Project, Settings

HUB, LAB = "github.com", "gitlab.bank.example"
FORGES = {"gitlab": GitLab(url=f"https://{LAB}/sub"), "github": GitHub(webhook_secrets=("all",))}
SIGNING = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def settings(**projects: Project) -> Settings:
    return Settings(
        projects={name.replace("__", "/").replace("_", "."): each for name, each in projects.items()}, **FORGES
    )


def refused(**projects: Project) -> UsageError:
    with pytest.raises(UsageError) as caught:
        check_projects(settings(**projects))
    return caught.value


def test_a_repository_is_named_by_its_number_or_by_its_path_with_the_number_beside() -> None:
    found = own_secrets(
        settings(
            github_com__7=Project(webhook_secrets=("a",)),
            github_com__acme__shop=Project(id=8, webhook_secrets=("b",)),
            gitlab_bank_example__pay__core__shop=Project(id=7, webhook_tokens=("c",)),
        )
    )
    assert [(each.forge, each.id) for each in found] == [("github", 7), ("github", 8), ("gitlab", 7)]
    check_projects(settings(github_com__7=Project(webhook_secrets=("a", "b"))))


@pytest.mark.parametrize("name", ["elsewhere_example__7", "github_com", "github_com__", "7"])
def test_a_name_of_no_forge_is_refused(name: str) -> None:
    error = refused(**{name: Project(webhook_secrets=("a",))})
    assert error.code == "GW-WEB-PROJECT"
    assert HUB in error.why


def test_a_path_alone_is_refused_because_it_can_be_given_away() -> None:
    assert "path" in refused(github_com__acme__shop=Project(webhook_secrets=("a",))).why
    assert "different" in refused(github_com__7=Project(id=8, webhook_secrets=("a",))).why


def test_two_tables_for_one_repository_are_refused() -> None:
    one, two = Project(webhook_secrets=("a",)), Project(id=7, webhook_secrets=("b",))
    assert "two tables" in refused(github_com__7=one, github_com__acme__shop=two).why


@pytest.mark.parametrize("secret", ["all", "b"])
def test_a_secret_that_somebody_else_has_is_refused(secret: str) -> None:
    tables = {"github_com__7": Project(webhook_secrets=(secret,)), "github_com__8": Project(webhook_secrets=("b",))}
    assert "elsewhere" in refused(**tables).why


def test_the_same_secret_twice_in_one_table_harms_nobody() -> None:
    check_projects(settings(github_com__7=Project(webhook_secrets=("a", "a"))))


@pytest.mark.parametrize("secrets", [(), ("",), ("good", "  ")])
def test_an_empty_secret_is_refused(secrets: tuple[str, ...]) -> None:
    assert refused(github_com__7=Project(webhook_secrets=secrets)).code == "GW-WEB-EMPTY-SECRET"


def test_secrets_of_the_other_forges_kind_are_refused() -> None:
    assert "kind" in refused(github_com__7=Project(webhook_secrets=("a",), webhook_tokens=("b",))).why
    assert "kind" in refused(gitlab_bank_example__7=Project(webhook_tokens=("a",), webhook_secrets=("b",))).why


def test_where_signing_is_required_a_project_needs_a_key() -> None:
    lab = GitLab(url=f"https://{LAB}", token="t", require_signing=True)
    with pytest.raises(UsageError) as caught:
        check_all(Settings(gitlab=lab, projects={f"{LAB}/7": Project(webhook_tokens=("t7",))}))
    assert caught.value.code == "GW-WEB-NO-SECRET"
    check_all(Settings(gitlab=lab, projects={f"{LAB}/7": Project(signing_secrets=(SIGNING,))}))


def test_own_secrets_will_do_for_a_forge_that_has_none() -> None:
    own = {f"{LAB}/7": Project(webhook_tokens=("a",)), f"{HUB}/7": Project(webhook_secrets=("b",))}
    check_all(Settings(gitlab=GitLab(url=f"https://{LAB}", token="t"), github=GitHub(token="t"), projects=own))
    other = {f"{LAB}/7": Project(webhook_tokens=("a",))}
    with pytest.raises(UsageError):
        check_all(Settings(github=GitHub(token="t"), projects=other, gitlab=FORGES["gitlab"]))
