"""Benchmarks: every claim of speed is a figure here.  ``python -m bench`` prints one table."""
