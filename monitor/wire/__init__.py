"""Speaks. HTTP to providers; the only room that knows httpx."""

import sys

# For each lock of a connection httpx and httpcore ask sniffio which library runs it, and where sniffio is
# not installed, Python searches all of its path for it each time: a twentieth of what a refresh costs.
# Without it they take asyncio, and that is the only one that runs here.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]
