"""Situations: a policy, what people do, what the forge answers; whether the gate is passed, and which code says why.

Tom set the label and wrote the issue. Mira approved the spec where the plan is asked about, and Otto the plan where the
change is.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from bot.model.event import AccountKind, Actor, ForgeKind
from bot.model.policy import Delegation, GateRule, Policy
from bot.model.role import Role
from bot.model.state import Gate
from bot.policy.presets import preset
from tests.bot.tasks.forge import LENA, MIRA, OTTO, STRANGER, TOM, commit
from tests.bot.tasks.scene import (
    Act,
    answers,
    base,
    deletes,
    edits,
    fails,
    file,
    kind,
    later,
    login,
    looks,
    member,
    no_file,
    presses,
    protected,
    pushed,
    redrafted,
    role,
    says,
    settles,
    yes,
)  # fmt: skip

SPEC, PLAN, CHANGE = Gate.SPEC, Gate.PLAN, Gate.CHANGE
TAKER = Actor(77, "mira")  # who took over a name that somebody gave up
FAR = "2000-01-01"
FOREVER = "2000-01-01T00:00Z/2999-01-01T00:00Z"
REGULATED: Final = replace(
    preset("regulated"),
    spec=replace(preset("regulated").spec, approvers=("user:7", "user:8")),
    plan=replace(preset("regulated").plan, approvers=("user:7", "user:11", "user:12")),
    scope=replace(preset("regulated").scope, approvers=("user:7",)),
    change=replace(preset("regulated").change, approvers=("user:7", "user:11", "user:12")),
)
SAFE = (protected(is_enforced=True),)


class Situation(NamedTuple):
    """One row; `why` is empty where nothing stands in the way."""

    name: str
    gate: Gate
    policy: Policy
    acts: tuple[Act, ...]
    passes: bool
    why: str = ""
    before: tuple[Act, ...] = ()
    forge: ForgeKind = ForgeKind.GITHUB


def spec(**rule: Any) -> Policy:
    return Policy(spec=GateRule(**rule))


def change(**rule: Any) -> Policy:
    return Policy(change=GateRule(**rule))


def away(person: Actor, to: Actor, since: str = FAR, until: str = "2999-01-01") -> Delegation:
    return Delegation(person.id, to.id, since, until)


LOST = "GW-FORGE-UNAVAILABLE"
YES, EXACT = yes(MIRA), yes(MIRA, "/approve <12>")
GROUP = spec(approvers=("group:70",))
MONTH = Policy(spec=GateRule(approvers=("group:70",)), membership_days=30)

PEOPLE: Final = [
    Situation("team: one who may write", SPEC, preset("team"), (YES,), True),
    Situation("team: the asker may", SPEC, preset("team"), (yes(TOM),), True),
    Situation("nobody said anything", SPEC, preset("team"), (settles, looks), False),
    Situation("a reader", SPEC, preset("team"), (yes(STRANGER),), False, "GW-COMMAND-ROLE"),
    Situation("two are asked, one said yes", SPEC, spec(quorum=2), (YES,), False, "quorum"),
    Situation("two are asked and said yes", SPEC, spec(quorum=2), (YES, yes(LENA)), True),
    Situation("two are asked, one said it twice", SPEC, spec(quorum=2), (YES, YES), False, "GW-APPROVE-AGAIN"),
    Situation("three are asked, two and a reader", SPEC, spec(quorum=3), (YES, yes(LENA), yes(STRANGER)),
              False, "quorum"),
    Situation("the gate asks for more than write", SPEC, spec(min_role="maintain"), (YES,), False, "GW-APPROVE-ROLE"),
    Situation("a maintainer", SPEC, spec(min_role="maintain"), (role(MIRA, Role.MAINTAIN), YES), True),
    Situation("all commands ask for more", SPEC, Policy(min_role="admin"), (YES,), False, "GW-COMMAND-ROLE"),
    Situation("the verb asks for more", SPEC, Policy(verb_roles={"approve": "admin"}), (YES,), False,
              "GW-COMMAND-ROLE"),
    Situation(
        "the verb's role is lost before it counts", SPEC, Policy(verb_roles={"approve": "admin"}),
        (role(MIRA, Role.ADMIN), YES, role(MIRA, Role.MAINTAIN)), False, "role",
    ),
    Situation("the role is lost before it counts", SPEC, Policy(), (YES, role(MIRA, Role.READ)), False, "role"),
    Situation("the role is lost and regained", SPEC, spec(quorum=2),
              (YES, role(MIRA, Role.NONE), settles, role(MIRA, Role.WRITE), yes(LENA)), True),
    Situation("a machine by the API", SPEC, Policy(), (kind(MIRA, AccountKind.BOT), YES), False,
              "GW-COMMAND-NOT-HUMAN"),
    Situation("not known to be a person", SPEC, Policy(), (kind(MIRA, AccountKind.UNKNOWN), YES), False,
              "GW-COMMAND-NOT-HUMAN"),
    Situation("turned out to be a machine", SPEC, Policy(), (YES, kind(MIRA, AccountKind.BOT)), False, "person"),
    Situation("by login", SPEC, spec(approvers=("@mira",)), (YES,), True),
    Situation("not the one who is named", SPEC, spec(approvers=("@lena",)), (YES,), False, "GW-APPROVE-APPROVER"),
    Situation("by login, renamed", SPEC, spec(approvers=("@mira",)), (login(MIRA, "mm"), YES), False,
              "GW-APPROVE-APPROVER"),
    Situation("by id, renamed", SPEC, spec(approvers=("user:7",)), (login(MIRA, "mm"), YES), True),
    Situation("by id, and somebody took the name", SPEC, spec(approvers=("user:7",)),
              (role(TAKER, Role.WRITE), login(TAKER, "mira"), yes(TAKER)), False, "GW-APPROVE-APPROVER"),
    Situation("renamed between yes and ruling", SPEC, spec(approvers=("@mira",)), (YES, login(MIRA, "mm")), False,
              "approver"),
    Situation("of the group", SPEC, GROUP, (member("70", MIRA, 1), YES), True),
    Situation("not of the group", SPEC, GROUP, (member("70", LENA, 1), YES), False, "GW-APPROVE-APPROVER"),
    Situation("removed from the group", SPEC, GROUP, (member("70", MIRA, 1), YES, member("70", MIRA, None)), False,
              "approver"),
    Situation("in the group for long enough", SPEC, MONTH, (member("70", MIRA, 31), YES), True),
    Situation("in the group too short", SPEC, MONTH, (member("70", MIRA, 29), YES), False, "GW-APPROVE-APPROVER"),
    Situation("in the group, nobody knows since when", SPEC, MONTH, (member("70", MIRA, -1), YES), False,
              "GW-APPROVE-APPROVER"),
    Situation("ids are asked for and nobody is named", SPEC, Policy(approver_ids=True), (YES,), False,
              "GW-APPROVE-APPROVER"),
    Situation("in the same second", SPEC, spec(quorum=2), (YES, yes(LENA), settles, looks), True),
]  # fmt: skip

EYES: Final = [
    Situation("the labeller", SPEC, spec(not_by=("labeller",)), (yes(TOM),), False, "GW-APPROVE-FOUR-EYES"),
    Situation("the author", SPEC, spec(not_by=("author",)), (yes(TOM),), False, "GW-APPROVE-FOUR-EYES"),
    Situation("the writer", SPEC, spec(not_by=("writer",)), (says(MIRA, "/revise shorter"), redrafted(), YES), False,
              "GW-APPROVE-FOUR-EYES"),
    Situation("somebody else than the writer", SPEC, spec(not_by=("writer",)),
              (says(MIRA, "/revise shorter"), redrafted(), yes(LENA)), True),
    Situation("a refused revise makes no writer", SPEC, spec(not_by=("writer",)), (says(MIRA, "/revise"), YES), True),
    Situation("who approved the spec, at the plan", PLAN, Policy(plan=GateRule(not_by=("spec",))), (YES,), False,
              "GW-APPROVE-FOUR-EYES"),
    Situation("another one at the plan", PLAN, Policy(plan=GateRule(not_by=("spec",))), (yes(LENA),), True),
    Situation("who approved the spec, at the change", CHANGE, change(not_by=("spec", "plan")), (YES,), False,
              "GW-APPROVE-FOUR-EYES"),
    Situation("who approved the plan, at the change", CHANGE, change(not_by=("spec", "plan")), (yes(OTTO),), False,
              "GW-APPROVE-FOUR-EYES"),
    Situation("a third one at the change", CHANGE, change(not_by=("spec", "plan")), (yes(LENA),), True),
    Situation("who pushed", CHANGE, Policy(), (pushed(LENA), yes(LENA)), False, "GW-COMMAND-STATE"),
    Situation("stands in for somebody named", SPEC,
              Policy(spec=GateRule(approvers=("user:7",)), delegations=(away(MIRA, LENA),)), (yes(LENA),), True),
    Situation("will stand in", SPEC,
              Policy(spec=GateRule(approvers=("user:7",)), delegations=(away(MIRA, LENA, "2998-01-01"),)),
              (yes(LENA),), False, "GW-APPROVE-APPROVER"),
    Situation("stood in", SPEC,
              Policy(spec=GateRule(approvers=("user:7",)), delegations=(away(MIRA, LENA, FAR, "2001-01-01"),)),
              (yes(LENA),), False, "GW-APPROVE-APPROVER"),
    Situation("stands in for the labeller", SPEC,
              Policy(spec=GateRule(not_by=("labeller",)), delegations=(away(TOM, LENA),)), (yes(LENA),), False,
              "GW-APPROVE-FOUR-EYES"),
    Situation("is stood in for by the labeller", SPEC,
              Policy(spec=GateRule(not_by=("labeller",)), delegations=(away(LENA, TOM),)), (yes(LENA),), False,
              "GW-APPROVE-FOUR-EYES"),
    Situation("was stood in for by who approved the spec", PLAN,
              Policy(plan=GateRule(not_by=("spec",)), delegations=(away(LENA, MIRA, FAR, "2001-01-01"),)),
              (yes(LENA),), False, "GW-APPROVE-FOUR-EYES"),
    Situation("both of a pair are one", SPEC, Policy(spec=GateRule(quorum=2), delegations=(away(MIRA, LENA),)),
              (YES, yes(LENA)), False, "repeated"),
]  # fmt: skip

TEXTS: Final = [
    Situation("the digest is asked for", SPEC, Policy(digest="required"), (YES,), False, "GW-APPROVE-UNNAMED"),
    Situation("the digest is given", SPEC, Policy(digest="required"), (EXACT,), True),
    Situation("edited before the ruling", SPEC, spec(quorum=2), (YES, edits(MIRA, "/approve."), yes(LENA)),
              False, "changed"),
    Situation("deleted before the ruling", SPEC, Policy(), (YES, deletes(MIRA)), False, "changed"),
    Situation("edited, and said anew", SPEC, Policy(), (YES, edits(MIRA, "no"), settles, YES), True),
    Situation("the gate was open for too long", SPEC, Policy(gate_days=3), (later(days=4), YES), False),
    Situation("a yes that is too old", SPEC, Policy(gate_days=3, spec=GateRule(quorum=2)),
              (YES, later(days=4), yes(LENA)), False),
    Situation("base moved, ancestor is fine", SPEC, Policy(), (base("next"), YES), True),
    Situation("base moved, has to be equal", SPEC, Policy(base="equal"), (YES, base("next")), False, "base_moved"),
    Situation("base rewritten", SPEC, Policy(), (base("next", rewritten=True), YES), False, "GW-BASE-REWRITTEN"),
    Situation("the file asks for two", SPEC, Policy(), (file("[policy.spec]\nquorum = 2"), YES), False),
    Situation("the file asks for less", SPEC, spec(quorum=2), (file("[policy.spec]\nquorum = 1"), YES), False,
              "quorum"),
    Situation("the file asks for less, from the first", SPEC, spec(quorum=2), (YES,), False, "quorum",
              (file("[policy.spec]\nquorum = 1"),)),
    Situation("the file cannot be read", SPEC, Policy(), (file("[policy"), YES), False, "GW-POLICY-FILE"),
    Situation("the file names a key that is none", SPEC, Policy(), (file("[policy]\nqorum = 2"), YES), False,
              "GW-POLICY-FILE"),
    Situation("the file names nobody the server does", SPEC, spec(approvers=("user:11",)),
              (file('[policy.spec]\napprovers = ["user:7"]'), YES), False, "GW-APPROVE-APPROVER"),
    Situation("the file is gone, asked anew and approved", SPEC, Policy(), (no_file(), looks, YES), True, "",
              (file("[policy.spec]\nquorum = 2"),)),
    Situation("owners, before a plan says paths", SPEC, spec(approvers=("owners",)), (YES,), False,
              "GW-APPROVE-APPROVER", (file("* @mira", "CODEOWNERS"),)),
    Situation("an owner", CHANGE, change(approvers=("owners",)), (YES,), True, "", (file("* @mira", "CODEOWNERS"),)),
    Situation("not an owner", CHANGE, change(approvers=("owners",)), (yes(LENA),), False, "GW-APPROVE-APPROVER",
              (file("* @mira", "CODEOWNERS"),)),
    Situation("one of two kinds of owners", CHANGE, change(approvers=("owners", "user:11")), (yes(LENA),),
              False, "owners",
              (file("* @mira", "CODEOWNERS"),)),
]  # fmt: skip

FORGE: Final = [
    *(
        Situation(f"no answer: {method}", SPEC, policy, (YES, fails(method), settles), False,
              "GW-FORGE-UNAVAILABLE", before)
        for method, policy, before in (
            ("role", Policy(), ()), ("account", Policy(), ()), ("get_comment", Policy(), ()), ("home", Policy(), ()),
            ("issue", Policy(), ()), ("head", Policy(), ()), ("membership", GROUP, (member("70", MIRA, 9),)),
        )
    ),
    Situation("no answer, and one later", SPEC, Policy(), (YES, fails("role"), settles, answers()), True),
    Situation("no answer about the branch rules", CHANGE, Policy(target_branch="enforced"),
              (YES, fails("protection"), settles), False, "GW-FORGE-UNAVAILABLE", SAFE),
    Situation("the branch is held to the gate", CHANGE, Policy(target_branch="enforced"), (YES,), True, "", SAFE),
    Situation("the branch is not held to the gate", CHANGE, Policy(target_branch="enforced"), (YES,), False,
              "enforced"),
    Situation("the branch is not held any more", CHANGE, Policy(target_branch="enforced"),
              (YES, settles, protected(is_enforced=False), looks), False, "enforced", SAFE),
    Situation("the button counts", CHANGE, Policy(), (presses(MIRA),), True),
    Situation("the button of another head", CHANGE, Policy(), (presses(MIRA, commit("other")),), False,
              "GW-APPROVE-OTHER-HEAD"),
    Situation("the button is ignored", CHANGE, Policy(native_approval="ignored"), (presses(MIRA),), False),
    Situation("a review proves its commit", CHANGE, Policy(native_approval="proven"), (presses(MIRA),), True),
    Situation("GitLab's button proves none", CHANGE, Policy(native_approval="proven"), (presses(MIRA),), False,
              "GW-APPROVE-NATIVE", (), ForgeKind.GITLAB),
    Situation("GitLab's button counts", CHANGE, Policy(), (presses(MIRA),), True, "", (), ForgeKind.GITLAB),
    Situation("a button and the labeller", CHANGE, change(not_by=("labeller",)), (presses(TOM),), False,
              "GW-APPROVE-FOUR-EYES"),
    Situation("somebody pushed after the yes", CHANGE, Policy(), (YES, pushed(LENA), settles), False, "pushed"),
    Situation("the role is lost after the gate passed", CHANGE, Policy(), (YES, settles, role(MIRA, Role.READ), looks),
              False, "role"),
    Situation("a freeze at the change", CHANGE, Policy(), (file(f'[policy]\nfreeze = ["{FOREVER}"]'), looks,
              YES), False,
              "freeze"),
]  # fmt: skip

FROZEN = replace(Policy(), freeze=(FOREVER,))
REGULAR: Final = [
    Situation("regulated: named, with the digest", SPEC, REGULATED, (EXACT,), True, "", SAFE),
    Situation("regulated: without the digest", SPEC, REGULATED, (YES,), False, "GW-APPROVE-UNNAMED", SAFE),
    Situation("regulated: the labeller, though named", SPEC, REGULATED, (yes(TOM, "/approve <12>"),), False,
              "GW-APPROVE-FOUR-EYES", SAFE),
    Situation("regulated: not named", SPEC, REGULATED, (yes(LENA, "/approve <12>"),), False,
              "GW-APPROVE-APPROVER", SAFE),
    Situation("regulated: the spec's approver at the plan", PLAN, REGULATED, (EXACT,), False,
              "GW-APPROVE-FOUR-EYES", SAFE),
    Situation("regulated: a second at the plan", PLAN, REGULATED, (yes(LENA, "/approve <12>"),), True, "", SAFE),
    Situation("a freeze does not hold a spec", SPEC, FROZEN, (YES,), True),
]  # fmt: skip

SITUATIONS: Final = [*PEOPLE, *EYES, *TEXTS, *FORGE, *REGULAR]
