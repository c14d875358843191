"""The local forge for people: a session of all parts in one command, gates in the terminal."""
