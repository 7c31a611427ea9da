"""Remembers. One module a question; bulk in, values out; all of the monitor's SQL is here."""
