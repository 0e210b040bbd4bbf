"""General helpers for a library with threads, event loops and forks. They know nothing about circuit breakers."""
