"""What a repository's checks need, made once before any agent starts and given to every jail."""
