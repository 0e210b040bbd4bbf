"""``python -m cbstore_sql.testing.conformance MODULE:FUNCTION [--processes] [pytest's own arguments]``."""

from __future__ import annotations

import sys
from pathlib import Path

_USAGE = __doc__


def main(arguments: list[str]) -> int:
    """Run the suite over a store and return pytest's exit code, or 2 if the arguments are wrong.

    Args:
        arguments: The target ``module:function``, then arguments for pytest.
    """
    if not arguments or ":" not in arguments[0]:
        sys.stderr.write(f"usage: {_USAGE}\n")
        return 2
    import pytest

    target, *further = arguments
    here = str(Path(__file__).parent)
    # These arguments make the suite independent of the settings of the project in which it runs.
    own = ["-p", "cbstore_sql.testing.conformance.plugin", "--store", target, "--rootdir", here, "-c", "/dev/null"]
    return int(pytest.main([here, "-p", "no:cacheprovider", *own, *further]))


if __name__ == "__main__":
    sys.path.insert(0, "")
    raise SystemExit(main(sys.argv[1:]))
