"""What mends something, as a command: for a shell, and for pages where no page does it.

The only file of this room that names commands of the command line.
"""

from __future__ import annotations

from monitor.errors import Remedy

# An operation, and the command that is it; {} is what it is done to.
COMMANDS = {
    "accounts.accept": "connections accept-account {} {account}",
    "accounts.refuse": "connections refuse-account {}",
    "campaigns.every": "campaign list",
    "connections.list": "connections list",
    "connections.remove": "connections remove {}",
    "connections.resume": "connections resume {}",
    "explain.story": "explain {}",
    "imports.take_in": "connections import {}",
    "silences.list": "silence list",
    "notices.ask_first": "notices release --guard {} --first {count}",
    "notices.drop": "notices drop --guard {}",
    "notices.release": "notices release --guard {}",
    "links.new": "reauthorize {}",
    "silences.end": "silence end {}",
    "notices.list": "notices list",
    "notices.retry": "notices retry {}",
    "notices.send_twice": "notices retry {} --twice",
    "mails.test": "email test {}",
    "oncall.test": "oncall test",
    "api_keys.list": "api keys list",
    "api_keys.new": "api keys new NAME --scope …",
    "people.add": "users add {} --role admin",
    "people.list": "users list",
    "exporting.rules": "export rules {}",
    "webhooks.every": "webhooks list",
    "webhooks.enable": "webhooks enable {}",
    "webhooks.replay": "webhooks replay {} --since {since}",
    "webhooks.rotate": "webhooks rotate {}",
    "webhooks.test": "webhooks test {}",
    "keys.new": "keys new",
    "keys.rotate": "keys rotate",
    "keys.seal": "keys seal {}",
    "keys.forget": "keys forget {}",
    "database.upgrade": "db upgrade",
    "database.replace": "restore {} --replace",
    "setting_up.begin": "init",
    "settings.choose": "… --config {}",
}
# What stands where whoever reads it has to choose.
OPEN = {
    "imports.take_in": "FILE",
    "accounts.accept": "ID",
    "silences.end": "NUMBER",
    "notices.retry": "NUMBER",
    "mails.test": "ADDRESS",
    "exporting.rules": "DIR",
    "keys.seal": "APP",
    "keys.forget": "KEY",
    "database.replace": "FILE",
    "settings.choose": "FILE",
}


def command(remedy: Remedy) -> str:
    """Return the command that a remedy is."""
    subject = remedy.subject or OPEN.get(remedy.operation, "ID")
    options = {name: value or OPEN[name] for name, value in remedy.options}
    return f"token-health {COMMANDS[remedy.operation].format(subject, **options)}"
