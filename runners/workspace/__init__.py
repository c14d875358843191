"""Mirrors, worktrees, the jail, and the only git."""
