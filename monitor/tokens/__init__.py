"""Keeps. Tokens: sealed at rest, refreshed with a journal, never seen elsewhere."""
