"""SQL text, built from the rules.

==============  ==========================================================================
`build`         one statement for each operation, compiled once for a dialect and a schema
`overview`      the statement behind one page of a list of breakers
`partial_eval`  shorter statements, for what is known when a statement is written
`statement`     a finished text with its binary parameters and results
`answer`        the columns that a statement returns, and how they become a whole answer
`decode`        from a result row to `Snapshot` and `Transition`
==============  ==========================================================================
"""
