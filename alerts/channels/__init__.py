"""WAYS OUT: one file each, with its settings, its `send`, and the addresses that are its own."""
