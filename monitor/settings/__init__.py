"""READS token-health.toml: the sections, the environment over them, and the values that the rooms need."""
