"""Segments: conditions over customers as one query of the warehouse, and what can be asked for."""
