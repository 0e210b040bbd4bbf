"""Checks whether the recorded operations of many processes are linearizable.

`recorder` notes what a store is asked and answers, `workload` asks it from many processes, `checker` searches for an
order in which the machine gives the same answers, `generations` checks the order that the generations tell.
"""
