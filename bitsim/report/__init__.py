"""Results made readable: tables for a terminal, CSV, JSON, and result folders."""
