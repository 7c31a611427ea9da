"""What mends something, as the command line says it: by the command that does it."""

from __future__ import annotations

from monitor.errors import Remedy

# An operation, and the command that is it; {} is what it is done to.
COMMANDS = {
    "accounts.accept": "connections accept-account {} {account}",
    "accounts.refuse": "connections refuse-account {}",
    "connections.list": "connections list",
    "connections.remove": "connections remove {}",
    "connections.resume": "connections resume {}",
    "explain.story": "explain {}",
    "imports.take_in": "connections import {}",
    "silences.list": "silence list",
    "waves.ask_first": "notices release --guard {} --first {count}",
    "waves.drop": "notices drop --guard {}",
    "waves.release": "notices release --guard {}",
}
# What stands where whoever reads it has to choose; ID else.
OPEN = {"imports.take_in": "FILE", "accounts.accept": "ID", "account": "ACCOUNT"}


def command(remedy: Remedy) -> str:
    """Return the command that a remedy is."""
    subject = remedy.subject or OPEN.get(remedy.operation, "ID")
    options = {name: value or OPEN[name] for name, value in remedy.options}
    return f"token-health {COMMANDS[remedy.operation].format(subject, **options)}"


def sentence(remedy: Remedy) -> str:
    """Return a remedy as a sentence: when, which command, and what that does."""
    said = f"'{command(remedy)}'" + (f" {remedy.does}" if remedy.does else "")
    if remedy.when:
        said = f"{remedy.when}, {said}"
    return said + "."
