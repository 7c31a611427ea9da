"""Speaks. HTTP to providers; the only room that knows httpx."""
