"""What policy says: pure functions of values; they ask no forge, know no clock, and read no file but the presets."""
