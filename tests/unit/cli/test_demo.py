"""The demo outside of a checkout."""

from __future__ import annotations

import time

from monitor.cli.demo import middleware
from monitor.cli.demo.stage import Stage


async def test_without_the_client_library_the_middleware_is_left_out_in_one_line(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(middleware.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(middleware, "__file__", str(tmp_path / "monitor" / "cli" / "demo" / "middleware.py"))
    stage = Stage(tmp_path, "", "", "", "", time.monotonic())
    await middleware.begins(stage, None)
    assert "No middleware plays: its client library is not here." in capsys.readouterr().out
    assert stage.beside == [] and stage.middleware is None
    assert await middleware.at_work(stage, None) and middleware.goes_on(stage)
    assert middleware.summary(stage) is None
