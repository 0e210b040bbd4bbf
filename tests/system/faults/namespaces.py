"""A separate network that can drop packets. Both ends of every connection are inside the network."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

_NEW_NETWORK = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _unshare() -> None:
    """Move this thread and its future children into a new network with only a loopback interface."""
    if _LIBC.unshare(_NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _nft(*commands: str) -> None:
    subprocess.run(["nft", "; ".join(commands)], check=True, capture_output=True)


def drop_to(port: int) -> None:
    """Drop packets to a port."""
    _drop(f"tcp dport {port}")


def drop_from(port: int) -> None:
    """Drop packets from a port."""
    _drop(f"tcp sport {port}")


def _drop(what: str) -> None:
    _nft(
        "add table ip fault",
        "add chain ip fault input { type filter hook input priority 0; }",
        f"add rule ip fault input {what} drop",
    )


def heal() -> None:
    """Stop dropping packets."""
    _nft("flush ruleset")


def inside(scenario: Callable[[], None]) -> None:
    """Run a function in a separate network that exists until the function has ended."""
    with ThreadPoolExecutor(1, initializer=_unshare) as thread:
        thread.submit(scenario).result()


def _why_not() -> str | None:
    if not hasattr(_LIBC, "unshare") or os.geteuid() != 0:
        return "only root may make a network namespace"
    missing = [program for program in ("ip", "nft") if shutil.which(program) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    try:
        inside(lambda: _nft("flush ruleset"))
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing can be shown here
        return f"no network namespace can be made here ({type(error).__name__})"
    return None


_REASON = _why_not()

needed = pytest.mark.skipif(_REASON is not None, reason=_REASON or "")
