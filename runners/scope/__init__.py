"""What a change holds that its plan did not say or that policy protects; pure functions of values."""
