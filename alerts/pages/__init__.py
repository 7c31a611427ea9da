"""PAGES: what on-call has to know, over which channel, and that it ends."""
