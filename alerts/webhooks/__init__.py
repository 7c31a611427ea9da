"""Webhooks: what came about, sent to programs that asked for it, through the outbox."""
