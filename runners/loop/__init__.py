"""Our own agent for plain chat models."""
