"""The repository's own checks, run by the harness."""
