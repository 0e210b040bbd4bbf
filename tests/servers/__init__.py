"""The real servers behind the tests: named by the environment, run in containers, or brought by wheels."""
