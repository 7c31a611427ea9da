"""RUNS one process: put together, started, ticking, ended in time."""
