"""Sourced prices of memories and logic: tables, and looking things up in them."""
