"""The exit codes of ``cbstore``, and the error that carries one of them."""

from __future__ import annotations

from cbstore_sql.errors import CircuitBreakerError

OK = 0
FOUND = 1
"""The command worked and found an open circuit, a problem, or a table that is not current."""
USAGE = 2
DATABASE = 3
REFUSED = 4
INTERRUPTED = 130
"""The exit code that a shell reports for a process that SIGINT ended."""
READER_GONE = 141
"""The exit code that a shell reports for a process that SIGPIPE ended."""

HELP = """\
exit codes:
  0    done
  1    found: an open circuit (status --fail-if-open), a problem (doctor), a table that is not current (migrate --check)
  2    wrong usage: an option, a name or a URL that cannot be used
  3    the database cannot be reached, refused, was too slow, or has no breaker table
  4    refused: no such breaker, or an operation that this store does not have
  130  interrupted
  141  the reader of the output has gone
"""


class RefusedError(CircuitBreakerError):
    """Raised when ``cbstore`` understands a command but cannot carry it out.

    For example, the breaker does not exist, or the store does not support the operation.
    """
