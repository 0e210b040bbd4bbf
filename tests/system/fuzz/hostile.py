"""Values that a user or an attacker may pass to a parser."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from cbstore_sql import CircuitBreakerError

SECRET = "hunter2hunter2"
"""Somewhere in what is parsed; nowhere in what is said."""

PIECES = [
    "%",
    "%00",
    "%zz",
    ":",
    "//",
    "@",
    "?",
    "#",
    "&",
    "=",
    "[",
    "]",
    "::1",
    "+",
    ".",
    "\0",
    "\n",
    "é",
    "\ud800",
    " ",
]

mess = st.lists(st.sampled_from([*PIECES, "a", "0", "65536", "localhost"]) | st.text(max_size=3), max_size=6).map(
    "".join
)
"""Syntax in the wrong places."""

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
"""Whatever a configuration file can hold."""


def urls(schemes: list[str]) -> st.SearchStrategy[str]:
    """Return a strategy of almost valid URLs with a password."""
    return st.builds(
        _url,
        st.sampled_from(schemes) | mess,
        mess,
        st.sampled_from(["localhost", "localhost:5432", "[::1]:1", "", "/nowhere"]) | mess,
        st.sampled_from(["", "/", "/db", "/0", "//tmp/none.db"]) | mess,
        st.lists(
            st.tuples(st.sampled_from(OPTIONS) | mess, st.sampled_from([SECRET, "1", "require", ""]) | mess), max_size=3
        ),
    )


OPTIONS = [
    *("password", "sslpassword", "sslmode", "sslrootcert", "sslkey", "user", "host", "port", "options", "service"),
    *(
        "connect_timeout",
        "socket_timeout",
        "db",
        "ssl_ca_certs",
        "ssl_cert_reqs",
        "protocol",
        "max_connections",
        "mode",
    ),
]


def _url(scheme: str, user: str, host: str, path: str, query: list[tuple[str, str]]) -> str:
    options = "&".join(f"{name}={value}" for name, value in query)
    return f"{scheme}://{user}:{SECRET}@{host}{path}{'?' if options else ''}{options}"


def parse(work: Callable[[], Any], *, secret: str = SECRET) -> Any:
    """Call a parser, which must return a result or raise an error of the library, without showing the secret."""
    try:
        result = work()
    except CircuitBreakerError as error:
        said = "".join([str(error), repr(error), *traceback.format_exception(error)])
        assert secret not in said, said
        return None
    assert secret not in repr(result)
    return result
