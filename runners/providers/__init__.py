"""One adapter per agent runtime or model API."""
