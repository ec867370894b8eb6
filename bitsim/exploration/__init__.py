"""Design-space exploration: many machines on traces, on one core or a cluster, with the same result to the last bit."""
