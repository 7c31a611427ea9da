"""OUTBOX: what waits, is claimed, leaves and is settled, whatever it says."""
