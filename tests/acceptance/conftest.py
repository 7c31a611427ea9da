"""What the stories share."""

from __future__ import annotations

import subprocess
import sys

import pytest


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
