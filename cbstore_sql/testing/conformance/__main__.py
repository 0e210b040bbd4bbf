"""``python -m cbstore_sql.testing.conformance MODULE:FUNCTION [--processes] [pytest's own arguments]``."""

from __future__ import annotations

import sys
from pathlib import Path

_USAGE = __doc__


def main(arguments: list[str]) -> int:
    """Run the conformance tests on a store.

    Args:
        arguments: First ``"module:function"``, the function that opens the store; then arguments for pytest.

    Returns:
        The exit code of pytest, or 2 if the arguments are wrong.
    """
    if not arguments or ":" not in arguments[0]:
        sys.stderr.write(f"usage: {_USAGE}\n")
        return 2
    import pytest

    target, *further = arguments
    here = str(Path(__file__).parent)
    # These arguments make the conformance tests independent of the settings of the project in which they run.
    own = ["-p", "cbstore_sql.testing.conformance.plugin", "--store", target, "--rootdir", here, "-c", "/dev/null"]
    return int(pytest.main([here, "-p", "no:cacheprovider", *own, *further]))


if __name__ == "__main__":
    sys.path.insert(0, "")
    raise SystemExit(main(sys.argv[1:]))
