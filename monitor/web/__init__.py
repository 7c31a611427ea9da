"""Where programs and people come in over HTTP."""
