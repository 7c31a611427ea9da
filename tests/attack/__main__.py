"""`python -m tests.attack [SECONDS]`: the siege, longer than in CI, told in figures."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

from tests.attack.siege import Siege, table
from tests.conftest import fresh, running_mailbox, running_sandbox


async def main(seconds: float) -> int:
    """Lay siege for so long; return 1 if a promise did not hold."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sandbox = fresh(stack.enter_context(running_sandbox()))
        async with running_mailbox() as mailbox:
            report = await Siege(folder, sandbox, mailbox, seconds).run()
    print(table(report))
    for sentence in report.faults():
        print(f"✗ {sentence}")
    if not report.faults():
        print("✓ one mail to the one client that revoked, every token in place")
    return 1 if report.faults() else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 120)))
