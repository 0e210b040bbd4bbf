"""The reader of pages: it reads each page once in a period for all open tabs of one process."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from cbstore_sql.errors import StoreError
from cbstore_sql.panel.source import Page, Source
from cbstore_sql.panel.views import View
from cbstore_sql.runtime.fork import after_fork_in_child

log = logging.getLogger("cbstore_sql")

DEFAULT_PERIOD = 2.0
"""Seconds for which one read of the store serves all requests, and seconds between two reads for open tabs."""

_MOST_PAGES = 200
"""The greatest number of pages that a reader remembers."""

Notify = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Reading:
    """A page of the panel as last read from the store, or the reason why the read failed.

    Attributes:
        page: The page as last read, or ``None`` if no read has succeeded yet.
        etag: A text that changes when the content of the page or ``trouble`` changes.
        read_at: The time of the read by the clock of the `Reader`, in seconds.
        trouble: Why the last read failed, or ``""`` if the last read succeeded.
    """

    page: Page | None
    etag: str
    read_at: float
    trouble: str = ""


class Reader:
    """Reads pages and keeps each page for one period, for all requests and open tabs of this process.

    Args:
        source: The object that reads a page from the store.
        period: Seconds for which one read of a page serves all requests for this page.
        clock: A function that returns a time in seconds that never goes back, such as `time.monotonic`.
    """

    def __init__(self, source: Source, period: float = DEFAULT_PERIOD, clock: Callable[[], float] = monotonic) -> None:
        self._source = source
        self._period = period
        self._clock = clock
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._readings: dict[View, Reading] = {}
        self._reading: set[View] = set()
        self._watchers: dict[View, set[Notify]] = {}
        self._thread: threading.Thread | None = None

    def read(self, view: View, *, fresh: bool = False) -> Reading:
        """Return a page that was read at most one period ago.

        If another thread is reading the same page, this method waits for that thread. A failed read does not raise
        `StoreError`: the result names the problem in `Reading.trouble` and keeps the previous page.

        Args:
            view: The page to read.
            fresh: Whether to read the store even if a recent result exists, for example after an action.
        """
        with self._changed:
            while view in self._reading:
                self._changed.wait()
            known = self._readings.get(view)
            if known is not None and not fresh and self._clock() - known.read_at < self._period:
                return known
            self._reading.add(view)
        return self._read_now(view, known)

    def watch(self, view: View, notify: Notify) -> Callable[[], None]:
        """Call a function each time a page changes, until the caller ends the watch.

        Meanwhile, a thread reads the page once in each period.

        Args:
            view: The page to watch.
            notify: The function to call. Any thread that reads the page may call ``notify``. ``notify`` must neither
                wait nor raise.

        Returns:
            A function without arguments that ends the watch.
        """
        with self._lock:
            self._watchers.setdefault(view, set()).add(notify)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cbstore-panel", daemon=True)
                self._thread.start()

        def end() -> None:
            with self._changed:
                watching = self._watchers.get(view, set())
                watching.discard(notify)
                if not watching:
                    self._watchers.pop(view, None)
                self._changed.notify_all()

        return end

    def _read_now(self, view: View, known: Reading | None) -> Reading:
        reading = None
        try:
            page = self._source.read(view)
            reading = Reading(page, _etag(page, ""), self._clock())
        except StoreError as error:
            log.warning("the panel cannot read the breaker store (%s)", type(error).__name__)
            page_before = known.page if known else None
            reading = Reading(page_before, _etag(page_before, str(error)), self._clock(), str(error))
        finally:
            with self._changed:
                self._reading.discard(view)
                if reading is not None:
                    self._remember(view, reading)
                self._changed.notify_all()
        if known is None or reading.etag != known.etag:
            for notify in list(self._watchers.get(view, ())):
                notify()
        return reading

    def _remember(self, view: View, reading: Reading) -> None:
        self._readings.pop(view, None)
        self._readings[view] = reading
        while len(self._readings) > _MOST_PAGES:
            del self._readings[next(iter(self._readings))]

    def _run(self) -> None:
        """Read all watched pages once in a period, until no tab watches a page."""
        while True:
            with self._changed:
                self._changed.wait(self._period)
                if not self._watchers:
                    self._thread = None
                    return
                views = list(self._watchers)
            for view in views:
                try:
                    self.read(view)
                except Exception as error:  # noqa: BLE001 - the other tabs must go on
                    log.warning("the panel could not read a page: %s", type(error).__name__)


def _etag(page: Page | None, trouble: str) -> str:
    shown = "" if page is None else repr(page.content())
    return hashlib.blake2b(f"{shown}{trouble}".encode("utf-8", "backslashreplace"), digest_size=12).hexdigest()
