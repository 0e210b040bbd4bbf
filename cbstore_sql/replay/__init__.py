"""What other policies would have done with recorded calls: the engine of ``cbstore replay``.

===========  ==================================================================
`log`        reads a log of calls
`outages`    finds in it when the dependency was broken
`engine`     runs the log through a policy, by the rules of the stores
`advice`     compares policies and recommends one
===========  ==================================================================
"""
