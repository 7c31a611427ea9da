"""Tells the right people, once: what to say, the outbox it waits in, and the channels it leaves by."""
