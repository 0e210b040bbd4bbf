"""The one way in which the library says that a feature needs an extra which is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cbstore_sql.errors import MissingExtraError


@contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
    """Raise a `MissingExtraError` in place of an `ImportError` in the block. The `ImportError` is its cause.

    Args:
        what: The feature, as the subject of the message, such as ``"the exporter"``.
        extra: The extra of this library that installs the package, such as ``"redis"``.

    Raises:
        MissingExtraError: An import in the block failed.
    """
    try:
        yield
    except ImportError as missing:
        raise MissingExtraError(what, extra) from missing
