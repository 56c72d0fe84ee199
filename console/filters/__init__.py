"""Automation filters as the api and the command line take, try and show them."""
