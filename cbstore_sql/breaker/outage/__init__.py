"""What a breaker does while its store is unavailable, and how it returns to the store afterwards.

==========  =====================================================================================================
`detector`  whether the store is unavailable, and the log lines and events that say so
`failures`  which exceptions of a store mean that it is unavailable, and what is known of their effect
`local`     the breakers of this process meanwhile, in memory
`changes`   what happened to them that is news to the store
`outbox`    reports about probes that the store may not have received
`recovery`  the end of an outage: ask the store again, and use it on trial or for good
`resync`    what is written to the store when it is back
==========  =====================================================================================================
"""
