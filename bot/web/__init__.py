"""Take deliveries in: verify, store, answer."""
