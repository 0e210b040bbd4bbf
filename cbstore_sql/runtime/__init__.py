"""Helpers for threads, event loops and forks. The helpers do not depend on breakers.

============================  ============================================================================
`sansio`                      runs a generator that yields I/O requests, synchronously or asynchronously
`workers`, `workers_async`    daemon threads for work that may hang, so that a caller can stop waiting
`interrupts`                  exceptions that a signal handler raises into the main thread
`tasks`                       tasks that run to completion after their caller was cancelled
`periodic`, `periodic_async`  a job that repeats in a background thread or task
`backoff`                     growing pauses between attempts
`fork`                        functions to call before and after a fork, and locks that are free in a child
`host_file`                   a small file that the processes of one user on one host share
`pickling`                    a base class of objects that cannot be pickled
`recent`                      a dictionary of the names that were used last
`rng`                         random numbers that do not change the application's random sequence
`environment`                 the environment variables that the library reads
============================  ============================================================================
"""
