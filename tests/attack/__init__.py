"""Attacks: what strangers may send, thrown at every parser they reach and at the running service."""
