"""One file per worker: the visible list of what happens to a record."""
