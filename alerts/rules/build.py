"""Writes the rule file and the example for Alertmanager: `python -m alerts.rules.build`."""

from __future__ import annotations

from pathlib import Path

import yaml

from alerts.rules import alertmanager, fleet, own, recording
from alerts.rules.alert import TEAM

FOLDER = Path(__file__).parent
DEPLOY = FOLDER.parent.parent / "deploy"
HEAD = """\
# Token Health's recording and alerting rules. Generated from alerts/rules by 'make generate'. Load it as is:
#   rule_files: [token-health.rules.yml]
"""


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, as people do."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def rules() -> str:
    """Return the rule file."""
    groups = [
        {"name": "token-health.recording", "rules": [rule.rule() for rule in recording.ALL]},
        {"name": "token-health.fleet", "rules": [alert.rule() for alert in fleet.ALL]},
        {"name": "token-health.service", "rules": [alert.rule() for alert in (*own.ALL, own.SILENCED)]},
    ]
    return HEAD + yaml.dump(
        {"groups": groups}, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True
    )


def files() -> dict[Path, str]:
    """Return every file made here, with its text."""
    compose = alertmanager.text(TEAM, [TEAM], smarthost="mailpit:1025")
    return {
        FOLDER / "token-health.rules.yml": rules(),
        FOLDER / "alertmanager.example.yml": alertmanager.text(TEAM, [TEAM]),
        DEPLOY / "alertmanager" / "alertmanager.yml": compose,
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(Path.cwd()))
