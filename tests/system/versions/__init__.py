"""Runs a smoke suite with each supported Python and with the oldest versions of the dependencies."""
