"""``python -m cbstore_sql`` is the ``cbstore`` command."""

from __future__ import annotations

import sys

from cbstore_sql.cli import main

if __name__ == "__main__":
    sys.exit(main())
