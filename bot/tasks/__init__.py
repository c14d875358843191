"""What happened to a task, and what has to happen next."""
