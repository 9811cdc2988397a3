"""The rules: pure functions over values. Standard library only; no I/O, no clock, no randomness."""
