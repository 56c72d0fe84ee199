"""The sections of `make bench`, each a file with `run(use)`."""
