"""Decides. Frozen values in, values out: no I/O, no clock, standard library only."""
