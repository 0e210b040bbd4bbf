"""The real servers behind the tests: from the environment, in containers, or from wheels."""
