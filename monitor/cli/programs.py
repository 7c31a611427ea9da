"""token, signals: what a program asks and says, by hand. Through the API, with a key, as a program does."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Annotated

import typer
from rich.markup import escape

from monitor.cli import over_http
from monitor.cli.root import ConfigOption, JsonOption, err, out, print_json
from monitor.errors import ConfigurationError
from monitor.health.signals import Kind
from monitor.text.spans import span

signals = typer.Typer(help="What programs say that they saw, through the API.", no_args_is_help=True)

IdArgument = Annotated[str, typer.Argument(help="Its id.", show_default=False)]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="Where the API is.", show_default=f"{over_http.URL}, or web.public_url"),
]
KINDS = f"What was seen: {', '.join(kind.value for kind in Kind)}."


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(token)
    app.add_typer(signals, name="signals")


def token(
    connection: IdArgument,
    min_ttl: Annotated[
        str | None, typer.Option("--min-ttl", help="Life that it should have left; 5m if unsaid.")
    ] = None,
    url: UrlOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print a connection's access token, as a program gets it: by the API, with TOKEN_HEALTH_API_KEY.

    Exit code 1: there is none now.
    """
    base = over_http.address(url or os.environ.get(over_http.URL), config)
    query = {"min_ttl": _span("--min-ttl", min_ttl)} if min_ttl else {}
    found = over_http.asked(base, connection, "token", query)
    if json:
        print_json(found)
        return
    left = found.get("expires_in")
    lasts = f", good for {span(timedelta(seconds=left))}" if isinstance(left, int) else ""
    err.print(
        f"[green]✓[/] {escape(connection)}: generation {found.get('generation')}{lasts}, "
        f"at {escape(str(found.get('base_url')))}"
    )
    print(found["access_token"])


@signals.command()
def send(
    connection: IdArgument,
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help=KINDS, show_default=False)],
    generation: Annotated[
        int | None, typer.Option("--generation", help="Which token was used, as it was handed out.")
    ] = None,
    status: Annotated[
        int | None, typer.Option("--status", help="What the provider answered, such as 401.")
    ] = None,
    wait: Annotated[
        str | None, typer.Option("--wait", help="How long to wait for our own look: 20s.")
    ] = None,
    url: UrlOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say what a program saw of a connection: at most, we look sooner, or later. TOKEN_HEALTH_API_KEY."""
    base = over_http.address(url or os.environ.get(over_http.URL), config)
    body: dict[str, object] = {"kind": kind.value}
    if generation is not None:
        body["generation"] = generation
    if status is not None:
        body["answer"] = {"status": status}
    query = {"wait": _span("--wait", wait)} if wait else {}
    heard = over_http.asked(base, connection, "signals", query, body)
    if json:
        print_json(heard)
        return
    why = f" ({heard['why']})" if heard.get("why") else ""
    out.print(f"{escape(connection)}: [bold]{heard.get('effect')}[/]{escape(why)}")
    if looked := heard.get("looked"):
        out.print(f"We looked: [bold]{looked.get('cause')}[/], generation {heard.get('generation')}")
    elif heard.get("probe_at"):
        out.print(f"The next look is at {heard['probe_at']}")


def _span(option: str, text: str) -> str:
    """Return a length of time as the API takes it. Raises ConfigurationError."""
    from monitor.text.tomlfile import parse_duration

    try:
        length = parse_duration(text)
    except ValueError as error:
        raise ConfigurationError(f"{option}: {error}") from None
    if not isinstance(length, timedelta):
        raise ConfigurationError(f"{option}: {text!r} is no time; write 90s or 5m.")
    return f"{int(length.total_seconds())}s"
