"""The one door between an agent and a model."""
