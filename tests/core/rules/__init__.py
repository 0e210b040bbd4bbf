"""The rules on numbers, an operation a file."""

import pytest

# What `check` compares is then shown where it fails, as in a test.
pytest.register_assert_rewrite("tests.core.rules.rows")
