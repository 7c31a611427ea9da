"""How long the fuzzers look: a moment in every test run, and thousands of examples in `make attack`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "attack", max_examples=4000, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
if os.environ.get("ATTACK") == "long":
    settings.load_profile("attack")
