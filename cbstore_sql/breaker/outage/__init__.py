"""What a breaker does while its store is unavailable, and how it catches up afterwards.

==========  =====================================================================================================
`detector`  whether the store is unavailable, and the log lines and events that say so
`local`     the breakers of this process meanwhile, in memory
`outbox`    reports about probes that the store may not have received
`recovery`  when the store is used again
`resync`    what is written to the store when it is back
`recovery`  the end of an outage: ask the store again, hand over what happened meanwhile, and use the store again
==========  =====================================================================================================
"""
