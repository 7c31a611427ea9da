"""Alertmanager's configuration: who is paged, what is grouped, and what makes the rest pointless.

Written as text and not as a document, since people go on from here: their receivers take the place of
these webhooks.
Source: https://prometheus.io/docs/alerting/latest/configuration/
"""

from __future__ import annotations

from collections.abc import Iterable

from alerts.rules import own
from alerts.rules.alert import PREFIX
from alerts.rules.inhibitions import ALL

_HEAD = """\
# Alertmanager's configuration for Token Health: complete, and checked by 'amtool check-config'.
# Put your receivers in the place of these: pagerduty_configs, opsgenie_configs, slack_configs, …

route:
  # One message for one incident: what has the same cause at the same provider goes together.
  group_by: [alertname, provider, cause, team]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 12h
  receiver: tickets
  routes:
    # Never told to anybody: it only silences what 'token-health silence' silences.
    - matchers: [alertname = "{silenced}"]
      receiver: nobody
    - matchers: [severity = "page"]
      receiver: page-{team}
      repeat_interval: 4h
      routes:
{pages}
    # What waits for the morning, and for the clients' own doing: once a day is enough.
    - matchers: [severity = "ticket"]
      receiver: tickets
      repeat_interval: 1d

inhibit_rules:
{inhibitions}
{smtp}
receivers:
  - name: nobody
{receivers}
"""


def text(team: str, teams: Iterable[str], *, smarthost: str = "") -> str:
    """Return the file for a default team and all teams that apps belong to.

    Its receivers are webhooks on this machine, or mails over `smarthost` (host and port, without TLS).
    """
    names = sorted({team, *teams})
    places = {f"page-{name}": f"page/{name}" for name in names} | {"tickets": "tickets"}
    return _HEAD.format(
        silenced=own.SILENCED.name,
        team=team,
        pages="\n".join(
            f'        - matchers: [team = "{name}"]\n          receiver: page-{name}' for name in names
        ),
        inhibitions="\n".join([*_silences(), *_larger()]),
        smtp=_SMTP.format(smarthost=smarthost) if smarthost else "",
        receivers="\n".join(
            f"  - name: {name}\n" + (_MAIL if smarthost else _WEBHOOK).format(name=name, path=path)
            for name, path in places.items()
        ),
    )


_WEBHOOK = """\
    webhook_configs:
      - url: http://127.0.0.1:9095/{path}"""
_MAIL = """\
    email_configs:
      - to: {name}@example.com
        send_resolved: true
        tls_config:
          ca_file: /etc/alertmanager/tls/ca.crt"""
_SMTP = """
global:
  smtp_smarthost: {smarthost}
  smtp_from: alertmanager@example.com
  smtp_require_tls: true
"""


def _silences() -> list[str]:
    found = ["  # What is silenced here is silent there."]
    for over in ("all", "provider", "app", "client", "connection"):
        found += [
            "  - source_matchers:",
            f'      - alertname = "{own.SILENCED.name}"',
            f'      - over = "{over}"',
            "    target_matchers:",
            f'      - alertname =~ "{PREFIX}.+"',
            f'      - alertname != "{own.SILENCED.name}"',
        ]
        if over != "all":
            found.append(f"    equal: [{over}]")
    return found


def _larger() -> list[str]:
    found = ["  # One incident, one page: what is part of something larger is not told besides."]
    for rule in ALL:
        names = sorted(alert.name for alert in rule.targets)
        found += [
            f'  - source_matchers: [alertname = "{rule.source.name}"]',
            "    target_matchers:",
            f'      - alertname =~ "{"|".join(names)}"',
        ]
        if rule.equal:
            found.append(f"    equal: [{', '.join(rule.equal)}]")
    return found
