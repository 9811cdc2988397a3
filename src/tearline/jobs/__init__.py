"""Scheduled callers of actions: the worker process, what it sends through, and what it sweeps."""
