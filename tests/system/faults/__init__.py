"""Tests that cause faults on real servers, with the expected and the observed behaviour."""
