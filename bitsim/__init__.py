"""bitsim."""
