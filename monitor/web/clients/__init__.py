"""The road back: the pages that a client sees on the way from a link to a healed connection."""
