"""The engine of ``cbstore replay``: it computes what other policies would have done with the recorded calls of a log.

===========  ==================================================================================
`log`        reads a log of calls
`outages`    finds the times in a log at which the dependency was broken
`engine`     runs the calls of a log through a policy, by the rules of the stores
`advice`     compares several policies and recommends one
===========  ==================================================================================
"""
