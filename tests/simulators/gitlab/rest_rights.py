"""REST: members of groups, and who may push to and merge into which branches."""

from __future__ import annotations

from tests.simulators.gitlab.access import missing, sees_group
from tests.simulators.gitlab.rest import PROJECT, Answer, Call, Page, route
from tests.simulators.gitlab.world import Group


def _group(call: Call) -> Group:
    wanted = call.params["group"]
    found = next((g for g in call.parts.world.groups.values() if wanted in {str(g.id), g.full_path}), None)
    if found is None or not sees_group(call.parts.world, call.user, found):
        raise missing("Group")
    return found


@route("GET", "/groups/{group}/members/all/{user}")
def group_member(call: Call) -> Answer:
    """Read one member of a group by the account's number; others are not found."""
    group, found = _group(call), call.parts.world.users.get(call.number("user"))
    if found is None or not group.level(found):
        raise missing()
    return call.parts.shapes.group_member(found, group)


@route("GET", PROJECT + "/protected_branches", "developer")
def protected_branches(call: Call) -> Answer:
    """List the rules of protected branches."""
    return Page([call.parts.shapes.protected_branch(call.project, rule) for rule in call.project.protected])


@route("GET", PROJECT + "/protected_branches/{name}", "developer")
def protected_branch(call: Call) -> Answer:
    """Read one rule by its name, which may be a pattern."""
    if call.params["name"] not in call.project.protected:
        raise missing()
    return call.parts.shapes.protected_branch(call.project, call.params["name"])


@route("GET", PROJECT + "/variables", "maintainer")
def variables(call: Call) -> Answer:
    """List the variables that CI jobs get; GitLab shows maintainers their values, too."""
    kind = {"variable_type": "env_var", "hidden": False, "masked": True, "raw": False, "environment_scope": "*"}
    return Page(
        [
            {**kind, "key": name, "value": "hush", "protected": is_protected, "description": None}
            for name, is_protected in call.project.variables.items()
        ]
    )
