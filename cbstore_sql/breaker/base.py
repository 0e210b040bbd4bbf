"""What both breakers have in common: the constructor, its options, and all that is done without I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

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
from cbstore_sql.breaker.view import DEFAULT_MAX_STALENESS, make_view
from cbstore_sql.core.model import Permit, Verdict
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.core.validation import DEFAULT_STORE_TIMEOUT, check_flush_interval, check_store_timeout
from cbstore_sql.errors import CircuitBreakerOpenError
from cbstore_sql.events import Listener
from cbstore_sql.runtime.pickling import NotPicklable
from cbstore_sql.stores.base import Store
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.push import PushState

Fallback = Callable[[CircuitBreakerOpenError], Any]
"""Called with the refusal in place of a refused call."""


class Background(Protocol):
    """Work that a breaker repeats in the background."""

    def ensure(self) -> None:
        """Start the work if it does not run."""


GivenStore = TypeVar("GivenStore", bound=Store | AsyncStore)
"""The type of store that the constructor takes."""

UsedStore = TypeVar("UsedStore", bound=Store | AsyncStore)
"""The type of store that the breaker calls."""

BackgroundT = TypeVar("BackgroundT", bound=Background)
"""What repeats work for this kind of breaker: a thread or a task."""


class BreakerBase(NotPicklable, ABC, Generic[GivenStore, UsedStore, BackgroundT]):
    """The common part of `CircuitBreaker` and `AsyncCircuitBreaker`; use one of these.

    Attributes:
        store: The store that the breaker calls. It may be a wrapper around the one given.
    """

    _background: ClassVar[type[Any]]
    """`BackgroundT` as a class."""

    _notifier: ClassVar[type[Notifier]]
    """What calls the listeners."""

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
    ) -> None:
        """Make a breaker. All times are seconds.

        Args:
            store: Where the breakers are kept. `AsyncCircuitBreaker` takes a synchronous store too and runs its
                operations in threads, so that they never block the event loop.
            policy: Thresholds and times for every name that ``policies`` does not have.
            policies: Policies by breaker name.
            record_on: Exceptions that count as failures: one class, or several in a tuple or a list. A refusal by
                another breaker inside the call, like every error of this library, counts only if it is named here. An
                exception group counts if an exception in it does.
            ignore: Exceptions that do not count although ``record_on`` has them: one class, or several.
            is_failure: Called with each exception that ``record_on`` and ``ignore`` let count; ``False`` means that it
                does not count. ``None``: all of them count.
            is_failed_result: Called with what a guarded call returned; ``True`` makes it a failure. ``None``: every
                return is a success.
            fallback: Called with the `CircuitBreakerOpenError` when a call is refused; the call returns its result.
                `AsyncCircuitBreaker` awaits that result if it is awaitable. ``None``: the error is raised.
            reopen_on_no_verdict: What happens to a probe that ends without a verdict (cancelled, interrupted,
                ignored). ``False`` frees its slot for the next caller, ``True`` opens the circuit again.
            store_timeout: Seconds within which the store must answer one admission or one report. The limit includes
                waiting for a connection, opening it, the statement and its repetitions. ``None``: no limit.
            on_store_outage: What happens to calls while the store does not answer or its table is missing.
                ``"local"``: this process uses local breakers, which start as they were last known. A
                circuit that opened meanwhile stays open when the store answers again. ``"allow"`` admits every call,
                ``"block"`` refuses every call, ``"raise"`` raises a `StoreError`; with these three, outcomes are not
                counted. Only the first call of an outage waits for the store, which is then asked in the background.
            listeners: Functions that are called with every event; see `cbstore_sql.events`. `AsyncCircuitBreaker` calls
                them in the event loop; a coroutine function runs in a task, and `close` waits for it.
            max_staleness: Seconds for which the last known state of a breaker may answer instead of the store. A
                healthy call then costs no I/O, and a circuit opened by another process is noticed at most this much
                later. 0 asks the store at every call. A store in memory is asked at every call anyway.
            flush_interval: Batching window in seconds. A failure that arrives while another one is being written waits
                this long, so that both go out in one statement. An isolated failure is written at once. A few
                milliseconds take the load off a breaker on which many calls fail at the same time. 0 disables batching.
            push: Whether processes tell each other about changes of state at once, over PostgreSQL's LISTEN and
                NOTIFY. It takes one more connection and a thread. A lost notification is noticed within
                ``max_staleness``, as without push. An `AsyncSqlStore` must have been made from a URL.

        Raises:
            ConfigurationError: ``on_store_outage`` is not one of the four values, or the store cannot push.
            InvalidArgumentError: An argument is of the wrong kind; the message says what to write.
            InvalidNameError: A name in ``policies`` cannot be a breaker's.
            InvalidPolicyError: ``max_staleness`` or ``flush_interval`` is negative or not a number,
                ``store_timeout`` is less than a millisecond, or ``flush_interval`` is not shorter than it.
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
        )
        if self._push is not None:
            self._push.end_with(self)
        self._refresher: BackgroundT | None = None
        if view is not None:
            self._refresher = self._background("cbstore-view", lambda: view.period, self._refresh)
        self._recovery: BackgroundT = self._background("cbstore-recovery", recovery_backoff().next, self._recover)
        self._controller.watch = self._recovery.ensure
        self._reporter: BackgroundT = self._background("cbstore-report", lambda: 0.0, self._report_successes)
        self._controller.successes.wake = self._reporter.ensure

    @property
    def push_state(self) -> PushState | None:
        """Whether ``push`` works at the moment; ``None`` without it."""
        return None if self._push is None else self._push.state

    def add_listener(self, listener: Listener) -> None:
        """Call a listener with every event from now on.

        Args:
            listener: See ``listeners`` of the constructor.

        Raises:
            InvalidArgumentError: It is not a function of one argument, or a coroutine function that nothing awaits.
        """
        self._controller.notifier.add(check_listener(listener, awaits=self._awaits))

    def progress(self, permit: Permit) -> None:
        """Note a sign of progress of a guarded call, such as a received chunk. It does no I/O.

        With ``slow_after``, the first sign ends the measurement: the rest of a stream may take any time. The lease of a
        probe is renewed for at most ten leases after the last sign. Calls that answer sooner never need this.

        Args:
            permit: What entering the guard, or `admit`, returned.
        """
        note_progress(check_permit(permit))
        self._controller.slow_calls.answered(permit)

    @abstractmethod
    def _prepare(self, store: GivenStore, flush_interval: float) -> UsedStore:
        """Return the store to call; ``flush_interval`` is the batching window in seconds, 0 for none."""

    @abstractmethod
    def _refresh(self) -> Any:
        """Refresh the view; return whether to go on."""

    @abstractmethod
    def _report_successes(self) -> Any:
        """Send the successes that no failure has carried; return ``False``."""

    @abstractmethod
    def _recover(self) -> Any:
        """Try to end an outage; return whether to go on."""

    def _admit_without_io(self, name: str) -> Permit | None:
        """Admit or refuse a call that the view could not admit, or return ``None``: ask the store."""
        permit = self._controller.admit_without_io(name)
        if permit is None:
            if self._refresher is not None:
                self._refresher.ensure()
            if self._push is not None:
                self._push.ensure()
        return permit

    def _first_without_io(self, names: Sequence[str]) -> tuple[Permit | None, list[str], list[CircuitBreakerOpenError]]:
        """Admit a call through the first of several circuits without I/O, as far as that is possible.

        Returns:
            The permit, or ``None``; the names to ask the store for; the refusals of names before those.
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
        """Whether this process saw a circuit open or half-open, not longer ago than ``max_staleness``."""
        view = self._controller.view
        return view is not None and view.shows_open(name)

    def _verdict_of(self, error: BaseException | None) -> Verdict:
        checked = check_error(error)
        return Verdict.FAILURE if checked is None else self._controller.outcomes.classify_exception(checked)

    def _share(self, controller: BreakerController) -> None:
        """Decide with another breaker's controller, and watch its store for both."""
        self._controller = controller
        controller.watch = self._recovery.ensure
