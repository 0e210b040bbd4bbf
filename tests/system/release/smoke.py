"""Uses an installed package as a new user would. The interpreter of the installation runs this file."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import cbstore_sql
from cbstore_sql import BreakerPolicy, CircuitBreaker, CircuitBreakerOpenError, SqlStore, State, migrate
from cbstore_sql.testing import Breakers


def fail() -> None:
    """Raise an error like a service that is down."""
    raise ConnectionError


def main() -> None:
    """Migrate a database, open and close a circuit, and read it with the command line."""
    url = "sqlite:///smoke.db"
    migrate(url)
    with SqlStore(url) as store, CircuitBreaker(store, BreakerPolicy(failure_threshold=2)) as breaker:
        for _ in range(2):
            with contextlib.suppress(ConnectionError):
                breaker.call("rates", fail)
        try:
            breaker.call("rates", fail)
        except CircuitBreakerOpenError as refused:
            if refused.name != "rates":
                raise SystemExit("the refusal names another breaker") from None
        else:
            raise SystemExit("an open circuit admitted a call")
        command = Path(sys.executable).with_name("cbstore")
        environment = {**os.environ, "CBSTORE_URL": url}
        shown = subprocess.run(
            [command, "status", "--json"], env=environment, capture_output=True, text=True, check=True
        )
        if '"rates"' not in shown.stdout:
            raise SystemExit(f"cbstore status does not show the breaker: {shown.stdout}")
        breaker.reset("rates")
        if breaker.state("rates") is not State.CLOSED:
            raise SystemExit("the circuit did not close")
    Breakers().close()
    if cbstore_sql.__version__ != version("cbstore_sql"):
        raise SystemExit("the package and its metadata disagree about the version")
    sys.stdout.write(f"cbstore_sql {cbstore_sql.__version__} works on {sys.version.split()[0]}\n")


if __name__ == "__main__":
    main()
