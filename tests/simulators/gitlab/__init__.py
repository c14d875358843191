"""A stateful GitLab: REST v4, git over smart HTTP and webhooks, as a real HTTP server on loopback."""
