"""The SQL statements, built from the rules of `cbstore_sql.core.rules`.

==============  ===============================================================================
`build`         one statement for each operation, compiled once for a dialect and a schema
`overview`      the statement that reads one page of a list of breakers
`partial_eval`  shorter statements for commands whose parameters are known in advance
`statement`     a compiled statement with its binary parameters and results
`answer`        the columns that a statement returns, and how to complete them to a full answer
==============  ===============================================================================
"""
