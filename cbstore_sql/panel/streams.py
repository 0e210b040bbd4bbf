"""The events that tell a tab to read its page again."""

from __future__ import annotations

HEARTBEAT = 15.0
"""Seconds without an event after which the server sends a comment.

The comment keeps the connection open, and the server notices if the tab is closed.
"""

MOST_STREAMS = 200
"""The greatest number of event streams in one process. Further tabs ask the server every few seconds."""

HELLO = b"retry: 5000\n\nevent: hello\ndata:\n\n"
"""The first event of every stream.

A tab that does not receive this event is behind a proxy that buffers. The tab then asks the server every few seconds.
"""


def event() -> bytes:
    """Return the bytes of the server-sent event that tells a tab that its page has changed."""
    return b"event: changed\ndata:\n\n"
