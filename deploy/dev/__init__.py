"""Real servers as child processes on loopback, for `make run`, `make stack` and the live tests."""
