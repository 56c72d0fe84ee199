"""Erasing and exporting a person: who it is, where the rows are, and how they go for good."""
