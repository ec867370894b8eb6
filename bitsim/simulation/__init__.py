"""A trace on a machine: cost of each distinct row once, times how often it occurs."""
