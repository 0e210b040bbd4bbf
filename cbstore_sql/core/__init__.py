"""The state machine: pure functions and data, without I/O, threads or a clock.

=============  =========================================================================================================
`rules`        the state machine: one function for each operation; all backends derive from it
`model`        `State`, `Row`, `Snapshot`, `Transition`, `Permit`, `Verdict`
`policy`       `BreakerPolicy`: thresholds and times; `FailureRate`: trip on the rate of failures
`admission`    whether a breaker admits a call: override, hold, state, ramp
`history`      the short history in a row, and how to decode it
`score`        what the outcomes of a report add to the score of a failure-rate policy
`commands`     checked arguments of an operation, as one `Command` that any store can carry out
`validation`   `check_*`: each function returns a valid value or raises a typed error
`severity`     a number for the urgency of a breaker, for lists that show the worst breaker first
`explanation`  why a breaker is in its state, in plain sentences
`wording`      how times, names and owners are written for people; the command line, the panel and explanations share it
=============  =========================================================================================================
"""
