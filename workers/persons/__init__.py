"""Who is behind an event: pure rules over what is known, and one place that asks the registry."""
