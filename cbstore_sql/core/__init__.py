"""The state machine: pure, without I/O, threads or a clock of its own."""
