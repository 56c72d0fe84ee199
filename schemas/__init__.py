"""What travels between the houses: envelopes, the canonical event, topics, rows and settings."""
