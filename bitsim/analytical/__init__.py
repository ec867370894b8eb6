"""Closed-form models others have published, kept apart from the exact engine."""
