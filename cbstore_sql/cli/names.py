"""The lookup of the breaker whose name the user gave."""

from __future__ import annotations

import argparse
import difflib

from cbstore_sql.cli.exit_codes import RefusedError
from cbstore_sql.cli.stores import Breakers, read_all
from cbstore_sql.core.model import Snapshot
from cbstore_sql.core.validation import check_name
from cbstore_sql.core.wording import printable


def find(arguments: argparse.Namespace) -> Snapshot:
    """Return the state of the breaker that ``NAME`` and ``--namespace`` identify.

    Args:
        arguments: The parsed arguments with ``name``, ``namespace``, ``url``, ``schema`` and ``timeout``.

    Raises:
        InvalidNameError: The name or the namespace is not a valid name.
        RefusedError: The breaker does not exist. The message suggests similar names or other namespaces.
        StoreError: The database cannot be read.
    """
    check_name("breaker name", arguments.name)
    check_name("namespace", arguments.namespace)
    breakers = read_all(arguments)
    for namespace, snapshot in breakers:
        if (namespace, snapshot.name) == (arguments.namespace, arguments.name):
            return snapshot
    raise RefusedError(_not_found(breakers, arguments.namespace, arguments.name))


def _not_found(breakers: Breakers, namespace: str, name: str) -> str:
    message = f"there is no breaker {printable(name)} in namespace {printable(namespace)}"
    elsewhere = sorted({other for other, snapshot in breakers if snapshot.name == name})
    if elsewhere:
        return f"{message}; there is one in {', '.join(map(printable, elsewhere))}: use --namespace"
    names = [snapshot.name for other, snapshot in breakers if other == namespace]
    similar = difflib.get_close_matches(name, names, n=3)
    if similar:
        return f"{message}; did you mean {' or '.join(map(printable, similar))}?"
    return f"{message} (one that never failed is not in the table)"
