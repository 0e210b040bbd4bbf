"""Histories recorded from many processes, and whether the state machine could have told them.

`recorder` notes what a store is asked and answers, `workload` asks it from many processes, `checker` searches for an
order in which the machine gives the same answers, `generations` checks the order that the generations tell.
"""
