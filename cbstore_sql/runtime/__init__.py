"""Helpers for threads, event loops and forks. They know nothing of breakers.

============================  ============================================================================
`sansio`                      runs a generator that yields its I/O, synchronously or asynchronously
`workers`, `workers_async`    daemon threads for work that may hang, whose caller stops waiting
`interrupts`                  exceptions that a signal handler raises into the main thread
`tasks`                       tasks that run to completion after their caller was cancelled
`periodic`, `periodic_async`  a job that repeats in a background thread or task
`backoff`                     growing pauses between attempts
`fork`                        what a forked child resets
`pickling`                    a base class of objects that cannot be pickled
`recent`                      a dictionary of the names used last
`rng`                         random numbers that leave the seed of the application alone
`environment`                 the environment variables that the library reads
============================  ============================================================================
"""
