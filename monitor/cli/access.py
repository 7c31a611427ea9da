"""api keys, users: who may come in, programs by keys and people by names. Straight on the database."""

from __future__ import annotations

import sys
from collections import defaultdict
from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from monitor.cli.root import (
    ConfigOption,
    JsonOption,
    confirm_or_stop,
    err,
    out,
    parts,
    print_json,
    run_async,
)
from monitor.cli.show import ago, plain_table
from monitor.cli.times import length_of
from monitor.errors import ConfigurationError
from monitor.operations.actor import on_this_host
from monitor.secret import Secret

if TYPE_CHECKING:
    from monitor.health.restriction import Restriction

api = typer.Typer(help="Who may use the HTTP API.", no_args_is_help=True)
keys = typer.Typer(help="Keys for programs.", no_args_is_help=True)
users = typer.Typer(help="People who sign in to the API and the console.", no_args_is_help=True)

RoleName = Literal["viewer", "operator", "admin"]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The key's id or name.")]
NameArgument = Annotated[str, typer.Argument(help="The user's name.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Ask nothing.")]
RoleOption = Annotated[RoleName, typer.Option("--role", help="What they may do: docs/access.md.")]
PasswordOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    api.add_typer(keys, name="keys")
    app.add_typer(api, name="api")
    app.add_typer(users, name="users")


# -- keys ---------------------------------------------------------------------------------------------


@keys.command("new")
def new(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str], typer.Option("--scope", help="What it may do, such as connections:read. Repeatable.")
    ],
    app: Annotated[list[str] | None, typer.Option("--app", help="Only this app. Repeatable.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Only with this label: tier=gold. Repeatable.")
    ] = None,
    connection: Annotated[
        list[str] | None, typer.Option("--connection", help="Only these: acme-*. Repeatable.")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option("--network", help="Only from there: 10.0.0.0/8. Repeatable.")
    ] = None,
    expires: Annotated[str, typer.Option("--expires", help="When it ends, at most 400d from now.")] = "90d",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a key. Its text is shown once, here."""

    async def work() -> None:
        from monitor.operations import api_keys, documents

        only = _only(app, label, connection, network)
        length = length_of(expires)
        if length is None:
            raise ConfigurationError("A key ends: write --expires 90d.")
        async with parts(config) as p:
            end = p.clock.now() + length
            made = await api_keys.new(p, on_this_host(), name, scope, only=only, expires_at=end)
            now = p.clock.now()
        if json:
            print_json({**documents.api_key(made.key, now), "secret": made.secret.reveal()})
            return
        err.print(
            f"[green]✓[/] [bold]{escape(made.key.name)}[/] ({made.key.id}) until "
            f"{made.key.expires_at:%Y-%m-%d %H:%M} UTC. Keep it now: nobody can show it again."
        )
        print(made.secret.reveal())

    run_async(work)


@keys.command("list")
def keys_list(
    ended: Annotated[bool, typer.Option("--all", help="Those that were revoked, too.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show every key, without its text."""

    async def work() -> None:
        from monitor.operations import api_keys, documents

        async with parts(config) as p:
            now, found = p.clock.now(), await api_keys.every(p, on_this_host(), ended=ended)
            while some := await api_keys.every(
                p, on_this_host(), after=found[-1].id if found else "", ended=ended
            ):
                found += some
        if json:
            print_json([documents.api_key(one, now) for one in found])
            return
        wide = out.width >= 120
        more = ("key", "made by") if wide else ()
        table = plain_table("name", "state", "ends", "last used", "scopes", *more)
        for one in found:
            state = one.state(now) + (" · exposed" if one.exposed_at is not None else "")
            table.add_row(
                escape(one.name), state, ago(one.expires_at, now), ago(one.last_used_at, now),
                " ".join(one.scopes), *((one.id, escape(one.made_by)) if wide else ()),
            )  # fmt: skip
        out.print(table if found else "No key yet: [bold]token-health api keys new NAME --scope …[/]")

    run_async(work)


@keys.command("show")
def keys_show(key: KeyArgument, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show one key, without its text."""

    async def work() -> None:
        from monitor.operations import api_keys, documents

        async with parts(config) as p:
            document = documents.api_key(await api_keys.show(p, on_this_host(), key), p.clock.now())
        if json:
            print_json(document)
            return
        for name, value in document.items():
            said = " ".join(value) if isinstance(value, list) else value
            out.print(f"[bold]{name:<16}[/] {escape(str(said)) if said is not None else '–'}")

    run_async(work)


@keys.command("rotate")
def keys_rotate(
    key: KeyArgument,
    grace: Annotated[
        str, typer.Option("--grace", help="How long the old text is good yet, 7d at most.")
    ] = "24h",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Give a key another text; the old one is good for a while yet."""

    async def work() -> None:
        from monitor.operations import api_keys, documents

        async with parts(config) as p:
            length = length_of(grace)
            if length is None:
                raise ConfigurationError("The old text ends: write --grace 24h.")
            made, now = await api_keys.rotate(p, on_this_host(), key, length), p.clock.now()
        if json:
            print_json({**documents.api_key(made.key, now), "secret": made.secret.reveal()})
            return
        err.print(
            f"[green]✓[/] [bold]{escape(made.key.name)}[/] has another text; the old one is good until "
            f"{made.key.old_until:%Y-%m-%d %H:%M} UTC. Keep it now: nobody can show it again."
        )
        print(made.secret.reveal())

    run_async(work)


@keys.command("revoke")
def keys_revoke(key: KeyArgument, yes: YesOption = False, config: ConfigOption = None) -> None:
    """End a key for good, within five seconds everywhere."""

    async def work() -> None:
        from monitor.operations import api_keys

        async with parts(config) as p:
            known = await api_keys.show(p, on_this_host(), key)
            confirm_or_stop(f"Whoever has {known.name!r} is shut out at once. Revoke it?", yes)
            await api_keys.revoke(p, on_this_host(), known.id)
        out.print(f"[green]✓[/] Revoked: [bold]{escape(known.name)}[/] ({known.id})")

    run_async(work)


def _only(
    apps: list[str] | None,
    labels: list[str] | None,
    connections: list[str] | None,
    networks: list[str] | None,
) -> Restriction:
    from monitor.operations import api_keys

    said: dict[str, list[str]] = defaultdict(list)
    for label in labels or ():
        name, equals, value = label.partition("=")
        if not equals:
            raise ConfigurationError(f"{label!r} is no label; write tier=gold.")
        said[name].append(value)
    return api_keys.restricted(apps or (), said, connections or (), networks or ())


# -- users --------------------------------------------------------------------------------------------


@users.command("add")
def users_add(
    name: NameArgument,
    role: RoleOption = "viewer",
    password_stdin: PasswordOption = False,
    config: ConfigOption = None,
) -> None:
    """Add somebody who signs in with a password, which is asked for or read from standard input."""
    password = _password(password_stdin)

    async def work() -> None:
        from monitor.operations import people

        async with parts(config) as p:
            one = await people.add(p, on_this_host(), name, role, password)
            url = p.loaded.settings.web.public_url
        out.print(f"[green]✓[/] [bold]{escape(one.name)}[/] is {one.role}, and signs in at {url}/sign-in")

    run_async(work)


@users.command("list")
def users_list(json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show everybody who may sign in, or has."""

    async def work() -> None:
        from monitor.operations import documents, people

        async with parts(config) as p:
            found, now = await people.every(p, on_this_host()), p.clock.now()
        if json:
            print_json([documents.person(one) for one in found])
            return
        table = plain_table("name", "role", "signs in", "last signed in", "since")
        for one in found:
            table.add_row(
                escape(one.name), one.role, escape(one.issuer or "with a password"),
                ago(one.signed_in_at, now), f"{one.created_at.astimezone(UTC):%Y-%m-%d}",
            )  # fmt: skip
        out.print(table if found else "Nobody yet: [bold]token-health users add NAME --role admin[/]")

    run_async(work)


@users.command("role")
def users_role(
    name: NameArgument,
    role: Annotated[RoleName, typer.Argument(help="What they may do: docs/access.md.")],
    config: ConfigOption = None,
) -> None:
    """Give somebody another role. They are signed out."""

    async def work() -> None:
        from monitor.operations import people

        async with parts(config) as p:
            one = await people.change(p, on_this_host(), name, role=role)
        out.print(f"[green]✓[/] [bold]{escape(one.name)}[/] is {one.role}.")

    run_async(work)


@users.command("password")
def users_password(
    name: NameArgument, password_stdin: PasswordOption = False, config: ConfigOption = None
) -> None:
    """Give somebody another password. They are signed out."""
    password = _password(password_stdin)

    async def work() -> None:
        from monitor.operations import people

        async with parts(config) as p:
            one = await people.change(p, on_this_host(), name, password=password)
        out.print(f"[green]✓[/] [bold]{escape(one.name)}[/] has another password.")

    run_async(work)


@users.command("remove")
def users_remove(name: NameArgument, yes: YesOption = False, config: ConfigOption = None) -> None:
    """Forget somebody. They are signed out; keys that they made stay."""
    confirm_or_stop(f"{name} cannot sign in any more then. Remove them?", yes)

    async def work() -> None:
        from monitor.operations import people

        async with parts(config) as p:
            one = await people.remove(p, on_this_host(), name)
        out.print(f"[green]✓[/] Removed: [bold]{escape(one.name)}[/]")
        if one.issuer is not None:
            out.print(f"Who is in a group of [oidc] comes in again; {one.issuer} says who is.")

    run_async(work)


def _password(from_stdin: bool) -> Secret:
    """Read a password: it never stands in the arguments, which others on the machine can see."""
    if from_stdin:
        return Secret(sys.stdin.readline().rstrip("\r\n"))
    if not sys.stdin.isatty():
        raise ConfigurationError("Without a terminal the password comes by --password-stdin.")
    return Secret(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
