"""SILENCES: when nothing is told, and about what."""
