"""The events that tell a tab to look again."""

from __future__ import annotations

HEARTBEAT = 15.0
"""Seconds of silence after which a comment keeps the connection open, and shows that the tab has gone."""

MOST_STREAMS = 200
"""Streams of one process; further tabs ask every few seconds instead."""

HELLO = b"retry: 5000\n\nevent: hello\ndata:\n\n"
"""Sent at once: a tab that does not hear it is behind a proxy that buffers, and asks by itself."""


def event() -> bytes:
    """Return the event that says that what the tab shows has changed."""
    return b"event: changed\ndata:\n\n"
