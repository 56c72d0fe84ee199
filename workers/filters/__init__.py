"""Automation filters in the worker: which tenants have which, and which of them an event meets."""
