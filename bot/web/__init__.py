"""Answer HTTP: verify, store, acknowledge; nothing is decided here."""
