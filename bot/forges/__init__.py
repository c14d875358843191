"""One protocol, one file per forge."""
