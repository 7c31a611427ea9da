"""What is installed with the service is on a list that machines read."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.conftest import missing

ROOT = Path(__file__).parents[2]


def test_the_bill_of_materials_names_what_the_lock_file_does():
    if not (ROOT / ".venv" / "bin" / "uv").exists():
        missing("uv is not installed in .venv")
    done = subprocess.run(["make", "sbom"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stderr)
    listed = {
        part["name"]: part for part in json.loads((ROOT / "dist" / "sbom.cdx.json").read_text())["components"]
    }
    locked = {
        part["name"]: part["version"] for part in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    }
    for name in ("httpx", "cryptography", "sqlalchemy", "jinja2"):
        assert listed[name]["version"] == locked[name]
        assert listed[name]["purl"].startswith(f"pkg:pypi/{name}@")
    assert "pytest" not in listed, "what only tests need is not installed with it"
