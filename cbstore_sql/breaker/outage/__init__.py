"""What a breaker does while its store is unavailable, and how it returns to the store afterwards.

=============  =====================================================================================================
`calls`        admission and settling by the outage policy, and the beginning of an outage
`detector`     whether the store is unavailable, with the log lines and events of an outage
`failures`     which exceptions of a store mean that it is unavailable, and whether the operation had an effect
`local`        the breakers of this process during an outage, in memory
`local_store`  the rows of these breakers
`changes`      the changes of local breakers that the store must learn of
`outbox`       reports about probes that the store may not have received
`recovery`     the end of an outage: ask the store again, and use the store on trial or for good
`resync`       the reports to the store after an outage
=============  =====================================================================================================
"""
