"""The fixtures of kit.py, for the tests of this folder."""

from tests.runners.workspace.kit import _jails, gateway, jail, make_jail, mirror, place, source, tree, work, worktree

__all__ = ["_jails", "gateway", "jail", "make_jail", "mirror", "place", "source", "tree", "work", "worktree"]
