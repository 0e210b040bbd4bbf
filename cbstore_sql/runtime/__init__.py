"""What any part needs of Python: threads, event loops, forks, and generators that leave the I/O to their caller."""
