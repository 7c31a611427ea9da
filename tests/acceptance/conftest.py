"""What the stories share."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.acceptance.test_processes import RUNNING


@pytest.fixture(autouse=True)
def _nobody_is_left():
    """A test that failed leaves no service behind, which the next one's sandbox would hear of."""
    yield
    for one in list(RUNNING):
        one.end(signal.SIGKILL)


@pytest.fixture
def catcher():
    """The demo's mailbox, as a process; yields its SMTP and its web address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "monitor.sandbox.mailbox", "--smtp", "0", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    smtp, _, web = process.stdout.readline().strip().partition(" ")
    yield smtp, web
    process.terminate()
    process.wait(10)
    process.stdout.close()
