"""What a breaker does while its store does not answer, and how it catches up afterwards."""
