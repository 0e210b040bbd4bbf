"""Faults made on real servers: what is expected of the breakers, and what was observed."""
