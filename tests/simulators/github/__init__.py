"""A stateful GitHub: REST, git over smart HTTP and signed webhooks, as a real HTTP server on loopback."""

from tests.simulators.github.server import GitHubSimulator

__all__ = ["GitHubSimulator"]
