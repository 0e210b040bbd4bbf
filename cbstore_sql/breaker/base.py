"""The common part of both breakers: the constructor, the options, and all work without I/O."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from cbstore_sql.breaker.arguments import (
    Exceptions,
    check_counting,
    check_error,
    check_exceptions,
    check_fallback,
    check_flag,
    check_listener,
    check_listeners,
    check_permit,
    check_policies,
    check_policy,
    check_predicate,
    check_store,
)
from cbstore_sql.breaker.controller import BreakerController
from cbstore_sql.breaker.notifier import Notifier
from cbstore_sql.breaker.outage.detector import OutagePolicy
from cbstore_sql.breaker.outage.recovery import recovery_backoff
from cbstore_sql.breaker.outcomes import OutcomeClassifier
from cbstore_sql.breaker.push import make_push
from cbstore_sql.breaker.reentrancy import note_progress
from cbstore_sql.breaker.view import DEFAULT_MAX_STALENESS, View, make_view
from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.core.validation import DEFAULT_STORE_TIMEOUT, check_flush_interval, check_store_timeout
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.events import Listener
from cbstore_sql.runtime.pickling import NotPicklable
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.push import PushState

if TYPE_CHECKING:
    from cbstore_sql.breaker.host_reads import HostReads

Fallback = Callable[[CircuitBreakerOpenError], Any]
"""A function that receives the refusal of a call. The refused call returns the function's result."""


class Background(Protocol):
    """The method that a breaker needs from a job which runs repeatedly in the background."""

    def ensure(self) -> None:
        """Start the job, unless it is already running."""


GivenStore = TypeVar("GivenStore", bound=Store | AsyncStore)
"""The type of store that the constructor accepts."""

UsedStore = TypeVar("UsedStore", bound=Store | AsyncStore)
"""The type of store that the breaker calls."""

BackgroundT = TypeVar("BackgroundT", bound=Background)
"""The kind of background work of this breaker: a thread or a task."""


class BreakerBase(NotPicklable, ABC, Generic[GivenStore, UsedStore, BackgroundT]):
    """The common base class of `CircuitBreaker` and `AsyncCircuitBreaker`. Applications use these two classes.

    Attributes:
        store: The store that the breaker calls. It may be a wrapper around the store that the application passed.
    """

    _background: ClassVar[type[Any]]
    """The class that repeats work in the background; `BackgroundT` as a class."""

    _notifier: ClassVar[type[Notifier]]
    """The class that calls the listeners."""

    _awaits: ClassVar[bool]
    """Whether stores, fallbacks and listeners may be awaited."""

    def __init__(
        self,
        store: GivenStore,
        policy: BreakerPolicy = DEFAULT_POLICY,
        *,
        policies: Mapping[str, BreakerPolicy] | None = None,
        record_on: Exceptions = (Exception,),
        ignore: Exceptions = (),
        is_failure: Callable[[BaseException], bool] | None = None,
        is_failed_result: Callable[[Any], bool] | None = None,
        fallback: Fallback | None = None,
        reopen_on_no_verdict: bool = False,
        store_timeout: float | None = DEFAULT_STORE_TIMEOUT,
        on_store_outage: OutagePolicy = "local",
        listeners: Iterable[Listener] = (),
        max_staleness: float = DEFAULT_MAX_STALENESS,
        flush_interval: float = 0.0,
        push: bool = False,
        share_reads: bool = False,
    ) -> None:
        """Make a breaker. All times are seconds.

        Args:
            store: The store that keeps the state of the breakers. `AsyncCircuitBreaker` accepts a synchronous store too
                and runs the store's operations in threads, so that they never block the event loop.
            policy: The thresholds and times of every breaker name that is not in ``policies``.
            policies: Policies by breaker name; ``None`` means that every breaker uses ``policy``.
            record_on: Exceptions that count as failures: one class, or several classes in a tuple or a list. An error
                of this library, such as a refusal by another breaker inside the call, counts only if ``record_on``
                names the error's class. An exception group counts if an exception in the group counts.
            ignore: Exceptions that do not count although ``record_on`` names them: one class, or several classes.
            is_failure: A function that receives each exception that counts by ``record_on`` and ``ignore``. If the
                function returns ``False``, the exception does not count. ``None`` means that all these exceptions
                count.
            is_failed_result: A function that receives the result of a guarded call. If the function returns ``True``,
                the call is a failure. ``None`` means that every call that returns is a success.
            fallback: A function that receives the `CircuitBreakerOpenError` when a call is refused; the call returns
                the function's result. `AsyncCircuitBreaker` awaits the result if it is awaitable. ``None`` means that a
                refused call raises the error.
            reopen_on_no_verdict: What happens when a probe ends without a verdict (cancelled, interrupted, ignored).
                ``False`` frees the probe's slot for the next caller, ``True`` opens the circuit again.
            store_timeout: Seconds within which the store must answer one admission or one report. The limit includes
                the wait for a connection, the opening of a connection, the statement and its repetitions. ``None``
                means no limit.
            on_store_outage: What happens to calls while the store does not answer or the store's table is missing. With
                ``"local"``, this process uses local breakers, which start in their last known state; a circuit that
                opened during the outage stays open when the store answers again. ``"allow"`` admits every call,
                ``"block"`` refuses every call, ``"raise"`` raises a `StoreError`; these three count no outcomes. Only
                the first call of an outage waits for the store. After that call, the breaker asks the store in the
                background.
            listeners: Functions that are called with every event; see `cbstore_sql.events`. `AsyncCircuitBreaker` calls
                the listeners in the event loop; a coroutine function runs in a task, and `close` waits for the task.
            max_staleness: Seconds for which the last known state of a breaker may replace an answer of the store. A
                healthy call then costs no I/O, and this process notices at most this much later that another process
                opened a circuit. 0 means that every call reads the store before and reports after; a success over a
                circuit without failures does not wait for the answer (see `Store.send_success`). A store in memory is
                asked at every call anyway.
            flush_interval: Batching window in seconds. A failure that arrives while another failure is being written
                waits this long, so that one statement writes both. An isolated failure is written at once. 0.001
                pays if eight or more threads of a process fail at once with full durability, or about thirty with
                relaxed durability; ``docs/view.md`` has the figures. 0 disables batching.
            push: Whether processes notify each other of state changes at once, through PostgreSQL's LISTEN and NOTIFY.
                Push needs one more connection and a thread. A process notices a change whose notification was lost
                within ``max_staleness``, as without push. An `AsyncSqlStore` must have been made from a URL.
            share_reads: Whether the processes of one host share their reads of the store, through a file that only this
                user can read. One process at a time reads for all of them, so the load of the server grows with the
                number of hosts, not of processes. The bound ``max_staleness`` holds as before. Only for PostgreSQL.

        Raises:
            ConfigurationError: ``on_store_outage`` is not one of the four values, the store cannot push, or the
                processes of this host cannot share reads.
            InvalidArgumentError: An argument is of the wrong kind; the message says what to write.
            InvalidNameError: A name in ``policies`` is not a valid breaker name.
            InvalidPolicyError: ``max_staleness`` or ``flush_interval`` is negative or not a number, ``store_timeout``
                is less than a millisecond, or ``flush_interval`` is not shorter than ``store_timeout``.
        """
        checked = check_store(store, awaits=self._awaits)
        outcomes = OutcomeClassifier(
            check_counting("record_on", record_on),
            check_exceptions("ignore", ignore),
            check_predicate("is_failure", is_failure),
            check_predicate("is_failed_result", is_failed_result),
        )
        self._fallback = check_fallback(fallback, awaits=self._awaits)
        self._timeout = check_store_timeout(store_timeout)
        self.store = self._prepare(checked, check_flush_interval(flush_interval, self._timeout))
        view = make_view(max_staleness, needed=not self.store.reads_locally)
        self._push = make_push(checked, view, wanted=check_flag("push", push))
        self._controller = BreakerController(
            check_policy("policy", policy),
            policies=check_policies(policies),
            outcomes=outcomes,
            reopen_on_no_verdict=check_flag("reopen_on_no_verdict", reopen_on_no_verdict),
            on_store_outage=on_store_outage,
            notifier=self._notifier(check_listeners(listeners, awaits=self._awaits)),
            view=view,
            announce=None if self._push is None else self._push.announce,
            host_reads=_host_reads(checked, view, wanted=check_flag("share_reads", share_reads)),
        )
        if self._push is not None:
            self._push.end_with(self)
        self._refresher: BackgroundT | None = None
        if view is not None:
            self._refresher = self._background("cbstore-view", self._controller.refresh.pause, self._refresh)
        self._recovery: BackgroundT = self._background("cbstore-recovery", recovery_backoff().next, self._recover)
        self._controller.outage.watch = self._recovery.ensure
        self._reporter: BackgroundT = self._background("cbstore-report", lambda: 0.0, self._report_successes)
        self._controller.successes.wake = self._reporter.ensure

    @property
    def push_state(self) -> PushState | None:
        """Whether this breaker receives state changes from other processes at once; ``None`` without ``push``.

        ``"listening"`` means that it does. With ``"off"``, ``"connecting"`` or ``"unavailable"``, it notices a change
        within ``max_staleness`` seconds.
        """
        return None if self._push is None else self._push.state

    @property
    def gate(self) -> BreakerController:
        """Deprecated, removed in 0.3: the name that 0.1 had for an internal object of the breaker."""
        warnings.warn(
            "breaker.gate is internal and goes away in 0.3: use the methods of the breaker",
            DeprecationWarning,
            stacklevel=2,
        )
        return self._controller

    def add_listener(self, listener: Listener) -> None:
        """Add a listener: a function that the breaker calls with every later event.

        Args:
            listener: A function of one event; see ``listeners`` of the constructor.

        Raises:
            InvalidArgumentError: ``listener`` is not a function of one argument, or is a coroutine function that this
                breaker does not await.
        """
        self._controller.notifier.add(check_listener(listener, awaits=self._awaits))

    def progress(self, permit: Permit) -> None:
        """Tell the breaker that a guarded call makes progress, for example when a chunk of the answer arrives.

        A probe stays with its caller for at most ten leases (``probe_lease``) after the last sign of progress. With
        ``slow_after``, the first sign of progress ends the time measurement: the rest of the answer may take any time.
        A call that ends within ten leases does not need this method. This method does no I/O.

        Args:
            permit: The permit that `admit` returned, or that ``with breaker.guard(…) as permit`` gave.
        """
        note_progress(check_permit(permit))
        self._controller.slow_calls.answered(permit)

    @abstractmethod
    def _prepare(self, store: GivenStore, flush_interval: float) -> UsedStore:
        """Return the store to call.

        Args:
            store: The store that the breaker was given.
            flush_interval: The batching window in seconds; 0 means no batching.
        """

    @abstractmethod
    def _refresh(self) -> Any:
        """Refresh the view; return whether the background work must go on."""

    @abstractmethod
    def _report_successes(self) -> Any:
        """Send the successes that no report of a failure has carried; return ``False``: this work does not repeat."""

    @abstractmethod
    def _recover(self) -> Any:
        """Try to end an outage; return whether the background work must go on."""

    def _admit_without_io(self, name: str) -> Permit | None:
        """Admit or refuse a call that `fresh_permit` did not admit, without I/O.

        Args:
            name: The breaker's name.

        Returns:
            The permit, or ``None`` if the caller must ask the store.

        Raises:
            CircuitBreakerOpenError: The call is refused.
        """
        permit = self._controller.admit_without_io(name)
        if permit is None:
            if self._refresher is not None:
                self._refresher.ensure()
            if self._push is not None:
                self._push.ensure()
        return permit

    def _first_without_io(self, names: Sequence[str]) -> tuple[Permit | None, list[str], list[CircuitBreakerOpenError]]:
        """Try to admit a call through the first of several circuits without I/O.

        Args:
            names: The breakers' names, the most preferred first.

        Returns:
            Three values: the permit, or ``None`` if no circuit admitted the call without I/O; the names of the breakers
            that the caller must read from the store; the refusals of the breakers before these.
        """
        refusals: list[CircuitBreakerOpenError] = []
        for index, name in enumerate(names):
            try:
                permit = self._controller.fresh_permit(name) or self._admit_without_io(name)
            except CircuitBreakerOpenError as refused:
                refusals.append(refused)
                continue
            return permit, ([] if permit is not None else list(names[index:])), refusals
        return None, [], refusals

    def _seen_open(self, name: str) -> bool:
        """Return whether this process saw a circuit open or half_open within the last ``max_staleness`` seconds."""
        view = self._controller.view
        return view is not None and view.shows_open(name)

    def _verdict_of(self, error: BaseException | None) -> Verdict:
        """Return the verdict for the error of a failed call; ``None`` counts as a failure."""
        checked = check_error(error)
        return Verdict.FAILURE if checked is None else self._controller.outcomes.classify_exception(checked)

    def _share(self, controller: BreakerController) -> None:
        """Use the controller of another breaker, and watch the controller's store for both breakers."""
        self._controller = controller
        controller.outage.watch = self._recovery.ensure


def _host_reads(store: Store | AsyncStore, view: View | None, *, wanted: bool) -> HostReads | None:
    """Make the object for ``share_reads``; ``None`` if ``wanted`` is false.

    Args:
        store: The store that the breaker was given.
        view: The breaker's view, or ``None``.
        wanted: Whether the breaker was made with ``share_reads``.
    """
    if not wanted:
        return None
    from cbstore_sql.breaker.host_reads import make_host_reads

    return make_host_reads(store, view)
