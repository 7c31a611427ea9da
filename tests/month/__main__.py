"""What the promise 'no wrong e-mail' is held against, on virtual time.

python -m tests.month [FIRMS DAYS]             a month of all kinds of trouble (1,000 firms, 30 days),
                                               spread over all providers
python -m tests.month scenarios [RUNS [WORD]]  incidents and mass revocations one by one, RUNS of each (3);
                                               with WORD only those whose line contains it
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
from pathlib import Path

from monitor.service import logs
from tests.month import draws, scenarios
from tests.month.fleet import EVERYWHERE
from tests.month.run import live


def _month(firms: int, days: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(
            live(
                Path(folder), lambda begin, clock: draws.month(firms, days, begin, clock, 7, where=EVERYWHERE),
                days,
                person=scenarios.PERSON, progress=True,
            )
        )  # fmt: skip
    print(report.table())
    for line in (*report.faults, *report.alone, *report.canaries, *report.let_out):
        print("  ", line)
    return 1 if report.faults else 0


def main(words: list[str]) -> int:
    logs.configure("json", "error")
    gc.set_threshold(50_000, 20, 100)  # as the service does
    if words[:1] == ["scenarios"]:
        runs = int(words[1]) if len(words) > 1 else 3
        for line in scenarios.table(runs, " ".join(words[2:])):
            print(line, flush=True)
        return 0
    firms, days = (int(word) for word in (words or ["1000", "30"]))
    return _month(firms, days)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
