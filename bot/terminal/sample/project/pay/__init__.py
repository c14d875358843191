"""A tiny payment client."""
