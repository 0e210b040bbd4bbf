"""Tests of the rules with plain values, one file for each operation."""

import pytest

# With this, pytest shows the values that `check` compares.
pytest.register_assert_rewrite("tests.core.rules.rows")
