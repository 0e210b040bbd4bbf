"""Causes every fault, prints the observations, and writes the table into the docs if no test was skipped."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.system.faults import report
from tests.system.faults.table import OBSERVED_VARIABLE


def main(arguments: list[str]) -> int:
    """Run the tests and return their exit code; 1 if some tests could not run on this machine."""
    with tempfile.TemporaryDirectory() as directory:
        lines = Path(directory) / "observed"
        tests = subprocess.run(  # noqa: PLW1510 - the code is passed on
            [sys.executable, "-m", "pytest", "--quiet", str(Path(__file__).parent), *arguments],
            env={**os.environ, OBSERVED_VARIABLE: str(lines)},
            cwd=report.ROOT,
        )
        rows = report.load(lines.read_text(encoding="utf-8").splitlines()) if lines.exists() else ()
    observed = report.Report(report.machine(), rows)
    sys.stdout.write(report.as_markdown(observed))
    if tests.returncode != 0:
        return tests.returncode
    missing = report.scenarios() - {report.without_parameters(row.test) for row in rows}
    if missing:
        sys.stderr.write("\n".join(["the docs stay as they are; not made here:", *sorted(missing), ""]))
        return 1
    report.keep(observed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
