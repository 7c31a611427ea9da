"""COUNTS: every metric by name, what this process counts, and `/metrics`."""
