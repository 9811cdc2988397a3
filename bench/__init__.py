"""Benchmarks: each measures the product beside a yardstick that is taken in the same run."""
