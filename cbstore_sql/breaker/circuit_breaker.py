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
from cbstore_sql.breaker.store_side import StoreSide
from cbstore_sql.core.model import PLAIN_PERMITS, Permit, Verdict
from cbstore_sql.errors import CircuitBreakerOpenError, InvalidArgumentError

P = ParamSpec("P")
T = TypeVar("T")


class CircuitBreaker(StoreSide):
    """A circuit breaker for synchronous callers. One object serves any number of breaker names and threads.

    Over a shared store, the breakers also serve any number of processes.

    The breaker admits a call, makes the call and reports the outcome. While the circuit is open, the breaker refuses
    calls. When the open time is over, the breaker admits one caller in all processes as the probe, and renews the
    probe's lease while the call runs. An exception that counts is a failure; a return is a success. An outcome without
    a verdict (cancelled, interrupted, ignored) releases a probe and changes nothing else.

    The caller always receives what the dependency returned or raised, even if the report fails.

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
        """Make one guarded call.

        Args:
            name: The breaker's name.
            function: The function to call.
            *args: The positional arguments for the function.
            **kwargs: The keyword arguments for the function.

        Returns:
            The result of the function or, for a refused call, the result of the fallback.

        Raises:
            CircuitBreakerOpenError: The call was refused and there is no fallback.
            InvalidArgumentError: The function is not callable, is a generator function or a coroutine function, or
                returned an object whose work is not done (a generator or an awaitable, for example).
        """
        require_plain_function(function)
        return self._call(name, self._fallback, function, args, kwargs)

    def guard(self, name: str) -> Guard:
        """Return a guard for a block: ``with breaker.guard("billing"): …``.

        When the block is entered, the guard admits the block and returns the permit. When the block is left, the guard
        reports the outcome.

        Args:
            name: The breaker's name.

        Raises:
            CircuitBreakerOpenError: The block was refused. ``with`` raises this error, not `guard`.
        """
        return Guard(name, self.admit, self._controller, self._report, self._renew)

    def admit(self, name: str) -> Permit:
        """Admit a call by hand. Report the outcome of the call with `success`, `failure` or `release`.

        The lease of a probe that was admitted by hand is renewed only by calls of `renew`.

        Args:
            name: The breaker's name.

        Returns:
            The permit, for the report of the outcome.

        Raises:
            CircuitBreakerOpenError: The call was refused.
            StoreError: The store does not answer and ``on_store_outage`` is ``"raise"``.
        """
        return self._controller.fresh_permit(name) or self._admit(name)

    def admit_first(self, names: Sequence[str]) -> Permit:
        """Admit a call by hand through the first of several breakers that admits calls, for a failover chain.

        For a breaker that this process read within the last ``max_staleness`` seconds, the method usually does no I/O.
        One store operation reads all other breakers.

        Args:
            names: The breakers' names, the most preferred first; at least one.

        Returns:
            The permit; its ``name`` is the name of the breaker that admitted the call. Report the outcome with this
            permit.

        Raises:
            CircuitBreakerOpenError: No breaker admits the call. The error is the refusal with the shortest
                ``retry_after``.
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
        """Report that an admitted call succeeded. A late or repeated report has no effect.

        Args:
            permit: The permit that `admit` returned.
        """
        verdict = self._controller.slow_calls.judge(check_permit(permit), SUCCESS)
        if verdict is not SUCCESS or not self._controller.takes_success(permit):
            self._settle(permit, verdict)

    def failure(self, permit: Permit, error: BaseException | None = None) -> None:
        """Report that an admitted call failed. A late or repeated report has no effect.

        Args:
            permit: The permit that `admit` returned.
            error: The exception that the call raised. An exception that does not count ends the call without a verdict.
                ``None`` counts as a failure.
        """
        self._settle(check_permit(permit), self._verdict_of(error))

    def release(self, permit: Permit) -> None:
        """End an admitted call without a verdict. If the call was a probe, the next caller may claim the probe.

        Args:
            permit: The permit that `admit` returned.
        """
        self._settle(check_permit(permit), Verdict.NONE)

    def renew(self, permit: Permit) -> bool:
        """Extend the lease of a probe that was admitted by hand to a full ``probe_lease`` from now.

        Args:
            permit: The permit that `admit` returned.

        Returns:
            Whether the caller still owns the probe; ``True`` also if the store does not answer.

        Raises:
            InvalidStateError: The permit never owned a probe.
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
        if not self._controller.settling.without_io(permit, verdict):
            self._drive(self._controller.settling.by_store(permit, verdict, or_raise=or_raise))

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
