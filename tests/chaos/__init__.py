"""The chaos run: load through all dialects while parts of the system are killed, frozen and cut off."""
