"""Commands and services as processes of their own, forked off one that has loaded what they load.

Starting Python from nothing takes longer than nearly all that a command does, and than a service takes until
it is ready. How they start from nothing is shown by the demo, by `test_processes`, `test_idle_sockets` and
`test_kept_inside`.
"""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import rich.console
import rich.table
import typer.main

import monitor.operations
import monitor.service.process
import monitor.web.console.pages

__all__ = ["PROCESSES", "Running", "command", "monitor", "rich", "typer"]

# What is loaded when it is wanted; but for the command line itself, which looks at its own terminal.
_LATE = (
    "aiosqlite", "alembic.command", "apscheduler.executors.asyncio", "monitor.service.api", "monitor.web.api.app",
    "pydantic.v1", "uvicorn.lifespan.off", "uvloop",
)  # fmt: skip
for found in _LATE:
    import_module(found)
for package in (monitor.operations, monitor.web.console.pages):
    for one in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        import_module(one.name)

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.acceptance.crash", "tests.acceptance.forked"])


def command(
    *words: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout: float = 90,
) -> subprocess.CompletedProcess[str]:
    """Run `token-health WORDS`, and return what it printed and its exit code."""
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        given.write(stdin.encode())
        given.seek(0)
        streams = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in (given, out, err)]
        process = PROCESSES.Process(
            target=_command, args=(words, str(cwd or Path.cwd()), dict(os.environ | (env or {})), streams)
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(words), timeout)
        code = process.exitcode
        process.close()
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(list(words), code, *texts)


class Running:
    """`token-health WORDS` under way, with the manners of `subprocess.Popen`; what it says goes to a file."""

    def __init__(self, *words: str, log: Path, env: Mapping[str, str]) -> None:
        streams = [os.devnull, str(log), str(log)]
        self._process = PROCESSES.Process(
            target=_command, args=(words, str(Path.cwd()), dict(env), streams), daemon=True
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return its exit code, minus the signal's number where one ended it; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        """Return its exit code; raises `subprocess.TimeoutExpired`."""
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return code


def _command(words: tuple[str, ...], cwd: str, environ: dict[str, str], streams: list[str]) -> None:
    os.setsid()
    for number, path in enumerate(streams):
        # At the end of what is there: two of them may be one file.
        os.dup2(os.open(path, os.O_RDWR | os.O_APPEND), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - multiprocessing gave it another
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["token-health", *words]
    from monitor.cli.main import main

    main()
