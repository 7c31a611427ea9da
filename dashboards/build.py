"""Writes the dashboards as Grafana loads them, and docs/metrics.md: `python -m dashboards.build`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import connection, fleet, funnel, programs, reference, service

FOLDER = Path(__file__).parent / "generated"
ALL = (fleet, connection, funnel, programs, service)
# What the SDK's annotations have no word for.
TITLES = {
    "Incidents": ("{{cause}}", "{{kind}} {{name}}: {{owner}} acts"),
    "Silences and maintenance": ("Silence over {{over}}", "{{provider}} {{app}} {{client}} {{connection}}"),
    "Deploys": ("Version {{version}}", "Python {{python}}"),
}


def document(module: Any) -> dict[str, Any]:
    """Return one dashboard as a document, its panels numbered."""
    found: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(module.build().build()))
    for number, panel in enumerate(found["panels"], 1):
        panel["id"] = number
    for annotation in found["annotations"]["list"]:
        title, text = TITLES[annotation["name"]]
        annotation |= {"titleFormat": title, "textFormat": text, "step": "60s"}
    return found


def files() -> dict[Path, str]:
    """Return every file made here, with its text."""
    return {
        FOLDER / f"{found['uid']}.json": json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False)
        + "\n"
        for found in map(document, ALL)
    } | {reference.FILE: reference.text()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(Path.cwd()))
