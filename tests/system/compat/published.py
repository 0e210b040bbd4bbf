"""The published circuit breaker, loaded as it is.

Its package needs far more than a circuit breaker does, so only the modules in question are imported, from a directory
that holds the wheel's content. Their parent packages are bare namespaces, and the package's logging is replaced by a
list; nothing of the breaker itself is.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib
import os
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

VERSION = "0.1.78"
VARIABLE = "CBSTORE_TEST_MASSGEN"
MISSING = f"{VARIABLE} must name a directory with massgen {VERSION} in it: run `make test`, which makes one."

_PACKAGES = ("massgen", "massgen.backend", "massgen.observability")


class PublishedCodeMissing(Exception):
    """The directory is not named, or does not hold the published version."""


@dataclass(frozen=True)
class Published:
    """The published modules.

    Attributes:
        breaker: ``massgen.backend.llm_circuit_breaker``.
        store: ``massgen.backend.cb_store``.
        metrics: ``massgen.observability.prometheus``.
        log: What the breaker logged: backend, message, details.
    """

    breaker: ModuleType
    store: ModuleType
    metrics: ModuleType
    log: list[tuple[str, str, Any]] = field(default_factory=list)

    def digests(self) -> dict[str, tuple[str, str]]:
        """Return, by path, the SHA-256 the wheel's own record gives for each module and the one it has here."""
        recorded = _record(directory())
        files = [Path(str(module.__file__)) for module in (self.breaker, self.store, self.metrics)]
        paths = {str(file.relative_to(directory())): file for file in files}
        return {path: (recorded[path], _sha256(file)) for path, file in paths.items()}


def directory() -> Path:
    """Return the directory with the wheel's content.

    Raises:
        PublishedCodeMissing: It is not named, or holds another version or none.
    """
    path = Path(os.environ.get(VARIABLE, "")).absolute()
    if not (path / f"massgen-{VERSION}.dist-info" / "RECORD").is_file():
        raise PublishedCodeMissing(MISSING)
    return path


@cache
def load() -> Published:
    """Import the published modules, once: a second import would log to a second list.

    Raises:
        PublishedCodeMissing: See `directory`.
    """
    root = directory()
    for name in _PACKAGES:
        package = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = package
    log: list[tuple[str, str, Any]] = []
    logger: Any = ModuleType("massgen.logger_config")
    logger.log_backend_activity = lambda backend, message, details=None, agent_id=None: log.append(
        (backend, message, details)
    )
    sys.modules[logger.__name__] = logger
    return Published(
        breaker=importlib.import_module("massgen.backend.llm_circuit_breaker"),
        store=importlib.import_module("massgen.backend.cb_store"),
        metrics=importlib.import_module("massgen.observability.prometheus"),
        log=log,
    )


def _record(root: Path) -> dict[str, str]:
    text = (root / f"massgen-{VERSION}.dist-info" / "RECORD").read_text(encoding="utf-8")
    return {path: digest.removeprefix("sha256=") for path, digest, _ in csv.reader(text.splitlines())}


def _sha256(file: Path) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).rstrip(b"=").decode()
