"""The ``cbstore`` command as ``python -m cbstore_sql``."""

from __future__ import annotations

import sys

from cbstore_sql.cli import main

if __name__ == "__main__":
    sys.exit(main())
