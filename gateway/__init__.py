"""The edge: admits, limits, reads, judges, stamps and publishes events, and replies once they are durable."""
