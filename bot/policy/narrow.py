"""A repository's file narrows the server's policy: each key towards the stricter end, and never the other way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, get_args

import msgspec

from bot.model.policy import DecidingRole, GateRule, Policy
from bot.policy.presets import problems
from bot.policy.repository import FILE, PolicyFileError, asked

ROLES: Final[tuple[str, ...]] = get_args(DecidingRole)
OWNERS: Final = "owners"
Table = Mapping[str, Any]


class Refusal(msgspec.Struct, frozen=True):
    """A key of the repository's file that would have made the policy weaker, and was not taken."""

    key: str
    why: str


class Narrowed(msgspec.Struct, frozen=True):
    """What holds for a repository; `taken` and `refused` name the keys of its file that say something else."""

    policy: Policy
    taken: tuple[str, ...]
    refused: tuple[Refusal, ...]


def narrow(server: Policy, table: Table) -> Narrowed:
    """Lay a repository's [policy] table over the server's; raises PolicyFileError where nobody could keep it."""
    wanted = asked(table)
    work = _Work()
    changes: dict[str, Any] = {}
    for key in table:
        held, want = getattr(server, key), getattr(wanted, key)
        if isinstance(held, GateRule):
            gate = {name: work.join(f"{key}.{name}", GATE[name], getattr(held, name), getattr(want, name))
                    for name in table[key]}  # fmt: skip
            changes[key] = msgspec.structs.replace(held, **gate)
        elif key == "verb_roles":
            changes[key] = work.verbs(server, want)
        else:
            changes[key] = work.join(key, TOP.get(key, _servers), held, want)
    policy = msgspec.structs.replace(server, **changes)
    if unfit := [each for each in problems(policy) if each not in problems(server)]:
        raise PolicyFileError(f"the policy in {FILE} could not be kept by anybody", "\n".join(unfit))
    return Narrowed(policy, tuple(work.taken), tuple(work.refused))


class _Work:
    """Notes, key by key, what was taken and what was refused."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.refused: list[Refusal] = []

    def join(self, key: str, way: _Join, server: Any, want: Any) -> Any:
        value, why = way(server, want)
        if value != server:
            self.taken.append(key)
        if why:
            self.refused.append(Refusal(f"policy.{key}", why))
        return value

    def verbs(self, server: Policy, want: Mapping[str, str]) -> dict[str, str]:
        """Take stronger roles for verbs; one that the server does not name has its `min_role`."""
        held: dict[str, str] = dict(server.verb_roles)
        for verb, role in want.items():
            before: str = server.verb_roles.get(verb, server.min_role)
            if (after := self.join(f"verb_roles.{verb}", _roles, before, role)) != before:
                held[verb] = after
        return held


_Join = Callable[[Any, Any], tuple[Any, str]]


def _ranked(*weakest_first: Any) -> _Join:
    def join(server: Any, want: Any) -> tuple[Any, str]:
        if weakest_first.index(want) < weakest_first.index(server):
            return server, f"the server asks for {_spelled(server)}, which is stricter than {_spelled(want)}"
        return want, ""

    return join


def _most(server: int, want: int) -> tuple[int, str]:
    return (want, "") if want >= server else (server, f"the server asks for {server} or more")


def _least(server: int, want: int) -> tuple[int, str]:
    return (want, "") if want <= server else (server, f"the server asks for {server} or less")


def _both(server: tuple[str, ...], want: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    return (*server, *(each for each in dict.fromkeys(want) if each not in server)), ""


def _servers(server: Any, want: Any) -> tuple[Any, str]:
    return server, "" if want == server else "only the server's settings say this"


def _approvers(server: tuple[str, ...], want: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Take some of those whom the server names; `owners` is no mere name: dropping it drops what it asks for."""
    if not server:
        return tuple(dict.fromkeys(want)), ""
    kept = tuple(each for each in server if each in want or each == OWNERS)
    foreign = [each for each in want if each not in server]
    if not any(each in want for each in server):
        return server, "the server names approvers, and the file none of them"
    if foreign:
        return kept, f"the server does not name {', '.join(foreign)}"
    return kept, f"the server asks for {OWNERS}" if OWNERS in kept and OWNERS not in want else ""


def _models(server: tuple[str, ...], want: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    if not server:
        return tuple(dict.fromkeys(want)), ""
    kept = tuple(each for each in dict.fromkeys(want) if any(_lies_within(each, glob) for glob in server))
    foreign = [each for each in want if each not in kept]
    why = f"the server does not allow {', '.join(foreign)}" if foreign else ""
    return (kept, why) if kept else (server, why or "the server names models, and the file none")


def _classes(server: tuple[str, ...], want: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Take some of the server's classes; an empty list would mean any, so it is never what is left of some."""
    if not server:
        return tuple(dict.fromkeys(want)), ""
    kept = tuple(each for each in dict.fromkeys(want) if each in server)
    foreign = [each for each in want if each not in server]
    why = f"the server does not name {', '.join(foreign)}" if foreign else ""
    return (kept, why) if kept else (server, why or "the server names classes, and the file none")


def _stand_ins(
    server: Mapping[str, tuple[str, ...]], want: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, tuple[str, ...]], str]:
    """Take some of the server's fallbacks; a model that the file leaves out has none."""
    kept = {
        model: tuple(each for each in dict.fromkeys(models) if each in server[model])
        for model, models in want.items() if model in server
    }  # fmt: skip
    foreign = [f"{each} for {model}" for model, models in want.items() for each in models
               if each not in server.get(model, ())]  # fmt: skip
    return kept, f"the server does not name {', '.join(foreign)}" if foreign else ""


def _lies_within(inner: str, outer: str) -> bool:
    """Tell whether a glob surely matches no more than another; of two intricate ones only equals do.

    A `*` of the outer one may swallow the inner one's wildcards; a `?` or a set might read them as plain characters.
    """
    if inner == outer:
        return True
    if not any(each in inner for each in "*?["):
        return fnmatchcase(inner, outer)
    is_intricate = any(each in inner + outer for each in "[]") or "?" in outer
    return not is_intricate and fnmatchcase(inner, outer)


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"'{value}'"


_roles: Final = _ranked(*ROLES)

GATE: Final[Mapping[str, _Join]] = {
    "approvers": _approvers,
    "quorum": _most,
    "min_role": _roles,
    "not_by": _both,
}
TOP: Final[Mapping[str, _Join]] = {
    "trigger_role": _roles,
    "min_role": _roles,
    "digest": _ranked("optional", "required"),
    "base": _ranked("ancestor", "equal"),
    "gate_days": _least,
    "late_minutes": _least,
    "native_approval": _ranked("counts", "proven", "ignored"),
    "approver_ids": _ranked(False, True),
    "membership_days": _most,
    "outsiders": _ranked("fence", "refuse"),
    "confidential_issues": _ranked("where_private", "refuse"),
    "branch_titles": _ranked(True, False),
    "merge": _ranked("on_approval", "never"),
    "ci": _ranked("run", "hold"),
    "target_branch": _ranked("advisory", "enforced"),
    "protected_paths": _both,
    "exemptions": _ranked("count", "ignored"),
    "max_diff_lines": _least,
    "max_diff_files": _least,
    "max_open_changes": _least,
    "allowed_models": _models,
    "require_tier": _ranked("", "enterprise-certified"),
    "residency": _classes,
    "fallbacks": _stand_ins,
    "freeze": _both,
}
