"""Knows. What each provider is, as data: one TOML a provider, no Python."""
