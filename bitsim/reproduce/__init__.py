"""Published models and numbers, computed anew and set beside what was printed."""
