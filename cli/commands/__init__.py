"""One file per command; each declares `command` and imports what is heavy only when it runs."""
