"""A stateful GitLab: REST v4, git over smart HTTP and webhooks, as a real HTTP server on loopback."""

from tests.simulators.gitlab.server import GitLabSimulator
from tests.simulators.gitlab.world import Traits

__all__ = ["GitLabSimulator", "Traits"]
