"""python -m tests.month [FIRMS] [DAYS]: the month that the promise 'no wrong e-mail' is held against."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from monitor import logs
from tests.month.run import live

if __name__ == "__main__":
    logs.configure("json", "error")
    firms, days = (int(word) for word in (sys.argv[1:3] or ["1000", "30"]))
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(live(Path(folder), firms, days, progress=True))
    print(report.table())
    for line in report.wrong + report.missed + report.duplicates:
        print("  ", line)
    sys.exit(1 if report.wrong or report.missed or report.duplicates else 0)
