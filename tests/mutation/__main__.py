"""``python -m tests.mutation [PART OF A NAME]``: break the code in every way listed and see the tests notice.

Each mutant is put into a copy of the repository, and the tests that have to notice are run there. Exits with 1 and
names the survivors if there are any.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutation.mutants import Mutant, all_mutants

ROOT = Path(__file__).parent.parent.parent
COPIED = ("cbstore_sql", "migrations", "tests", "pyproject.toml")
WORKERS = os.cpu_count() or 1

# pytest's exit codes for "some tests failed" and "collection failed"; anything else is no verdict.
NOTICED = (1, 2)


def main(wanted: str = "") -> int:
    """Try every mutant whose name holds ``wanted``."""
    mutants = [mutant for mutant in all_mutants(ROOT) if wanted in mutant.name]
    copies: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(WORKERS) as pool:
        for copy in _copies(Path(scratch)):
            copies.put(copy)
        _require_sound({mutant.tests for mutant in mutants}, Path(scratch) / "0")
        survivors = []
        for mutant, survived in pool.map(lambda mutant: (mutant, _survives(mutant, copies)), mutants):
            sys.stdout.write(f"{'SURVIVED' if survived else 'died'}  {mutant.name}\n")
            sys.stdout.flush()
            survivors += [mutant] if survived else []
    sys.stdout.write(f"{len(mutants)} mutants, {len(survivors)} survived\n")
    return 1 if survivors else 0


def _copies(scratch: Path) -> Iterator[Path]:
    for number in range(WORKERS):
        copy = scratch / str(number)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / name)
        yield copy


def _require_sound(selections: set[tuple[str, ...]], copy: Path) -> None:
    """Refuse to go on where a test fails without any mutant: it would notice everything."""
    for tests in selections:
        done = _run(tests, copy)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(tests)} fails on the sound code:\n{done.stdout[-3000:]}")


def _survives(mutant: Mutant, copies: SimpleQueue[Path]) -> bool:
    copy = copies.get()
    path = copy / mutant.path
    sound = path.read_text(encoding="utf-8")
    try:
        path.write_text(mutant.text, encoding="utf-8")
        return _verdict(mutant, copy)
    finally:
        path.write_text(sound, encoding="utf-8")
        copies.put(copy)


def _verdict(mutant: Mutant, copy: Path) -> bool:
    done = _run(mutant.tests, copy)
    if done.returncode not in (0, *NOTICED):
        raise RuntimeError(f"pytest gave no verdict on {mutant.name!r}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0


def _run(tests: tuple[str, ...], copy: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
