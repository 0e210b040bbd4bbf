"""The contract of a store as a test suite: check your own store with one command.

::

    python -m cbstore_sql.testing.conformance mypackage.mystore:open_store --processes

``open_store(namespace)`` opens your store, a subclass of `cbstore_sql.Store`, on the breakers of a namespace. The
command runs the tests that this library's stores pass: every operation, races of threads and, with ``--processes``,
races of processes and owners that are killed. The command needs pytest. The command passes further
arguments to pytest.

=================================  ===================================================================================
`backend`                          the way in which the test suite opens a store
`plugin`                           the fixtures
`test_read`                        reading one breaker and several
`test_record_failure`              counting and tripping
`test_record_success`              clearing and closing
`test_claim_probe`                 who becomes the owner of the probe
`test_release_and_renew_probe`     the owner's lease
`test_force_open_and_reset`        changes by hand
`test_races`                       many threads at once
`test_processes`                   many processes at once, and killed processes
=================================  ===================================================================================
"""
