"""The circuit breaker for synchronous callers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from cbstore_sql.breaker.arguments import check_decorator_name, check_fallback, check_permit
from cbstore_sql.breaker.base import Fallback
from cbstore_sql.breaker.callables import require_decoratable, require_finished, require_plain_function
from cbstore_sql.breaker.flow import soonest
from cbstore_sql.breaker.guard import Guard, GuardedCall
from cbstore_sql.breaker.outcomes import SUCCESS
from cbstore_sql.breaker.sending import send_success
from cbstore_sql.breaker.store_side import StoreSide
from cbstore_sql.core.model import PLAIN_PERMITS, Permit, Verdict
from cbstore_sql.errors import CircuitBreakerOpenError, InvalidArgumentError

P = ParamSpec("P")
T = TypeVar("T")


class CircuitBreaker(StoreSide):
    """A circuit breaker for synchronous callers. One object serves any number of breaker names and threads.

    All breakers with the same name and the same store share one circuit, also in different processes.

    The breaker admits a call, makes the call and reports the outcome to the store. While the circuit is open, the
    breaker rejects calls. When the open time is over, the breaker admits one caller in all processes as the probe: the
    call that tests whether the dependency works again. While the probe runs, the breaker renews its lease, so that no
    other caller makes the probe.

    An exception that counts is a failure; a return is a success. A call that was cancelled or interrupted, or that
    raised an ignored exception, is neither. If such a call was the probe, the next caller may make the probe.

    The caller always receives what the dependency returned or raised, even if the report to the store fails.

    See `BreakerBase.__init__` for the arguments.
    """

    def __call__(self, name: str, *, fallback: Fallback | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Decorate a function so that the breaker guards each of its calls.

        Args:
            name: The breaker's name. Functions with the same name share the breaker.
            fallback: A function that replaces the breaker's fallback; ``None`` means the breaker's fallback.

        Raises:
            InvalidArgumentError: ``name`` or ``fallback`` is of the wrong kind. Or, when the function is decorated: the
                function is a generator function, a coroutine function, or makes a context manager.
            InvalidNameError: ``name`` is not a valid breaker name.
        """
        check_decorator_name(name)
        own_fallback = check_fallback(fallback, awaits=self._awaits) or self._fallback

        def decorate(function: Callable[P, T]) -> Callable[P, T]:
            require_decoratable(function)

            @functools.wraps(function)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
                return self._call(name, own_fallback, function, args, kwargs)

            return guarded

        return decorate

    def call(self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function if the circuit admits the call, and report the outcome to the store.

        Args:
            name: The breaker's name.
            function: The function to call.
            *args: The positional arguments for the function.
            **kwargs: The keyword arguments for the function.

        Returns:
            The result of the function or, for a rejected call, the result of the fallback.

        Raises:
            CircuitBreakerOpenError: The breaker rejected the call and there is no fallback.
            InvalidArgumentError: The function is not callable, is a generator function or a coroutine function, or
                returned an object whose work is not done (a generator or an awaitable, for example).
        """
        require_plain_function(function)
        return self._call(name, self._fallback, function, args, kwargs)

    def guard(self, name: str) -> Guard:
        """Make a guard for a block of code: ``with breaker.guard("billing") as permit: …``.

        If the circuit admits the block, the block runs with its permit. At the end of the block, the guard reports the
        outcome to the store: an exception that counts is a failure, otherwise the block is a success.

        Args:
            name: The breaker's name.

        Raises:
            CircuitBreakerOpenError: The breaker rejected the block. ``with`` raises this error, not `guard`.
        """
        return Guard(name, self.admit, self._controller, self._report, self._renew)

    def admit(self, name: str) -> Permit:
        """Ask whether a call may go ahead. Afterwards, report its outcome with `success`, `failure` or `release`.

        Use this where `call` and `guard` do not fit. If the call is the probe (the call that tests the dependency), it
        belongs to this caller for ``probe_lease`` seconds; `renew` extends this time.

        Args:
            name: The breaker's name.

        Returns:
            The permit: the right to report the outcome.

        Raises:
            CircuitBreakerOpenError: The breaker rejected the call.
            StoreError: The store does not answer and ``on_store_outage`` is ``"raise"``.
        """
        return self._controller.fresh_permit(name) or self._admit(name)

    def admit_first(self, names: Sequence[str]) -> Permit:
        """Find the first of several breakers that admits a call. Use this to choose between equivalent dependencies.

        Report the outcome of the call with `success`, `failure` or `release`. One store operation reads all breakers
        that this process has not read within the last ``max_staleness`` seconds; for the others, this method usually
        does no I/O.

        Args:
            names: The breakers' names, the most preferred first; at least one.

        Returns:
            The permit: the right to report the outcome. Its ``name`` is the name of the breaker that admitted the call.

        Raises:
            CircuitBreakerOpenError: No breaker admits the call. Of the errors of all breakers, this is the error with
                the shortest ``retry_after``.
            InvalidArgumentError: ``names`` is empty, or is a single string.
        """
        if isinstance(names, str) or not names:
            raise InvalidArgumentError("admit_first takes a sequence of one name or more")
        permit, ask, refusals = self._first_without_io(names)
        if permit is not None:
            return permit
        try:
            if ask:
                return self._drive(self._controller.first_admission(ask))
        except CircuitBreakerOpenError as refused:
            refusals.append(refused)
        raise soonest(refusals, names[0])

    def success(self, permit: Permit) -> None:
        """Report that a call which `admit` admitted has succeeded.

        A report that comes too late or is repeated has no effect.

        Args:
            permit: The permit that `admit` returned.
        """
        verdict = self._controller.slow_calls.judge(check_permit(permit), SUCCESS)
        if verdict is not SUCCESS or not self._controller.takes_success(permit):
            self._settle(permit, verdict)

    def failure(self, permit: Permit, error: BaseException | None = None) -> None:
        """Report that a call which `admit` admitted has failed.

        A report that comes too late or is repeated has no effect.

        Args:
            permit: The permit that `admit` returned.
            error: The exception that the call raised. If this exception does not count as a failure, the effect is that
                of `release`. ``None`` counts as a failure.
        """
        self._settle(check_permit(permit), self._verdict_of(error))

    def release(self, permit: Permit) -> None:
        """Report that a call which `admit` admitted has ended, and says nothing about the dependency.

        Such a call counts neither as a success nor as a failure. If it was the probe, the next caller may make the
        probe.

        Args:
            permit: The permit that `admit` returned.
        """
        self._settle(check_permit(permit), Verdict.NONE)

    def renew(self, permit: Permit) -> bool:
        """Keep a probe that `admit` gave to the caller for another ``probe_lease`` seconds, from now.

        Without this, another caller may make the probe when the time is over.

        Args:
            permit: The permit that `admit` returned.

        Returns:
            ``True`` if the probe still belongs to the caller, or if the store does not answer. ``False`` if the probe
            belongs to another caller or is over.

        Raises:
            InvalidStateError: The permit is not a permit of a probe.
        """
        self.progress(permit)
        return self._renew(permit)

    def __enter__(self) -> CircuitBreaker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _call(
        self,
        name: str,
        fallback: Fallback | None,
        function: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> T:
        """Make one guarded call.

        Args:
            name: The breaker's name.
            fallback: A function that receives the refusal; ``None`` means that a refused call raises.
            function: The function to call.
            args: The positional arguments for the function.
            kwargs: The keyword arguments for the function.
        """
        controller = self._controller
        try:
            permit = controller.fresh_permit(name) or self._admit(name)
        except CircuitBreakerOpenError as refused:
            if fallback is None:
                raise
            answer: T = fallback(refused)
            return answer
        if permit.token or type(permit) not in PLAIN_PERMITS or controller.notifier.listeners:
            return self._attended(permit, function, args, kwargs)
        try:
            result = function(*args, **kwargs)
            require_finished(function, result)
            verdict = controller.outcomes.classify_result(result)
        except BaseException as error:
            self._report(permit, controller.outcomes.classify_exception(error))
            raise
        if verdict is not SUCCESS or not controller.takes_success(permit):
            self._report(permit, verdict)
        return result

    def _attended(
        self, permit: Permit, function: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> T:
        """Make an admitted call that needs a lease renewal, events for listeners, or a time measurement.

        Args:
            permit: The permit of the admitted call.
            function: The function to call.
            args: The positional arguments for the function.
            kwargs: The keyword arguments for the function.
        """
        with self._guarded(permit) as call:
            result = function(*args, **kwargs)
            require_finished(function, result)
            call.verdict = self._controller.outcomes.classify_result(result)
        return result

    def _guarded(self, permit: Permit) -> GuardedCall:
        """Return a `GuardedCall` for a permit: it renews a probe's lease and reports the outcome."""
        return GuardedCall(permit, self._controller, self._report, self._renew)

    def _admit(self, name: str) -> Permit:
        """Admit a call that `fresh_permit` did not admit."""
        return self._admit_without_io(name) or self._drive(self._controller.admission(name))

    def _renew(self, permit: Permit) -> bool:
        """Extend the lease of a probe. Unlike `renew`, this method does not note a sign of progress."""
        return self._drive(self._controller.renewal(permit))

    def _settle(self, permit: Permit, verdict: Verdict, *, or_raise: bool = False) -> None:
        """Report a verdict.

        Args:
            permit: The permit of the admitted call.
            verdict: The verdict on the call: success, failure, or none (the call does not count).
            or_raise: Whether to raise the error of a store that fails. ``False`` means that the outage policy applies.
        """
        settling = self._controller.settling
        if settling.without_io(permit, verdict):
            return
        if settling.may_send(permit, verdict):
            policy = self._controller.policy_for(permit.name)
            if send_success(self.store, permit, policy, self._timeout):
                return
        self._drive(settling.by_store(permit, verdict, or_raise=or_raise))

    def _report(self, permit: Permit, verdict: Verdict) -> None:
        """Report the verdict of a call that has ended.

        This method logs an error and does not raise the error, because the error would hide the outcome of the call.

        Args:
            permit: The permit of the admitted call.
            verdict: The verdict on the call: success, failure, or none (the call does not count).
        """
        try:
            self._settle(permit, verdict)
        except Exception as failed:  # noqa: BLE001 - whatever a store raises, the call is over
            self._controller.notifier.log_failed_report(failed)
