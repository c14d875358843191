"""What people may say, and who may say it."""
