"""Commands as processes of their own, forked off one that has loaded what they load.

Starting Python from nothing takes longer than nearly all that a command does. How commands start from
nothing is shown by the demo, by the processes of the service, and by `test_kept_inside`.
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

__all__ = ["PROCESSES", "command", "rich", "typer"]

# The command line itself is loaded by each command: it looks at its own terminal.
for found in pkgutil.iter_modules(monitor.operations.__path__, "monitor.operations."):
    import_module(found.name)

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


def _command(words: tuple[str, ...], cwd: str, environ: dict[str, str], streams: list[str]) -> None:
    for number, path in enumerate(streams):
        os.dup2(os.open(path, os.O_RDWR), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - multiprocessing gave it another
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["token-health", *words]
    from monitor.cli.main import main

    main()
