"""What `doctor` looks at, one check after the other; each says what it found and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from alerts.channels.smtp import NO_UTF8, Sender, Session, Unreachable
from alerts.mails.language import languages
from alerts.mails.mailserver import on_record
from alerts.mails.standing import KINDS
from alerts.webhooks import endpoints
from alerts.webhooks.endpoints import State
from monitor.clock import SystemClock
from monitor.errors import Remedy, TokenHealthError
from monitor.health.evidence import Fault
from monitor.health.explain import account_remedies
from monitor.host import confined
from monitor.host.files import wider
from monitor.operations import costs, doors, listening, reach
from monitor.operations.actor import Actor, Right
from monitor.operations.admittance import access_lines
from monitor.operations.apps import intervals_now, not_watched, stretched_now
from monitor.operations.checks import Check
from monitor.settings.builders import build_channel, build_wire, templates_trouble
from monitor.settings.file import load
from monitor.settings.loaded import Loaded
from monitor.settings.parts import Parts, opened
from monitor.store import bindings, connections, processes, published, sealing
from monitor.store.engine import UNWELL, files_of
from monitor.text.addresses import needs_utf8
from monitor.text.spans import span
from monitor.tokens.vault import prefixes_of
from monitor.wire.apps import App
from monitor.wire.client import Reply, Wire

# RFC 6749 has times in seconds; a clock that is further off misjudges expiries and rate limits.
LARGEST_SKEW = timedelta(seconds=30)


async def checkup(path: Path, actor: Actor, *, ask_doors: bool = False) -> list[Check]:
    """Check everything that can be checked of a configuration without changing anything.

    With `ask_doors`, each provider is asked whether anybody could still connect.
    """
    actor.needs(Right.SETTINGS_READ)
    reach.whole(actor, "the checkup is of everything")
    try:
        loaded = load(path, confined.environment())
        confined.take_out(loaded.secret_variables())
    except TokenHealthError as error:
        return [Check.failed("configuration", error)]
    apps = len(loaded.settings.apps)
    checks = [Check("configuration", True, f"{path}: {apps} app{'s' if apps != 1 else ''}.")]
    checks += _apps(loaded)
    smtp, utf8 = await _smtp(loaded)
    try:
        async with opened(loaded) as parts:
            checks += await _inside(parts, actor)
            checks += await doors.asked_now(parts) if ask_doors else []
            smtp = await _with_its_past(parts, smtp)
            addresses = await _addresses(parts, utf8)
    except (TokenHealthError, *UNWELL) as error:
        checks.append(Check.failed("keys and database", error))
        addresses = []
    checks += [smtp, *addresses, _mails(loaded), _oncall(loaded), _files(loaded)]
    return checks + listening.checked(loaded)


async def at_hand(parts: Parts, actor: Actor) -> list[Check]:
    """Check what can be told without asking anybody outside: no provider, and no mail server."""
    actor.needs(Right.SETTINGS_READ)
    reach.whole(actor, "the checkup is of everything")
    loaded = parts.loaded
    return [
        *_apps(loaded), await _keys(parts), await _database(parts), *await watched(parts, actor),
        *await _refused(parts), *await _stretched(parts), *await doors.checked(parts),
        *await costs.checked(parts, await intervals_now(parts)), *await access_lines(parts),
        *await webhooks_checked(parts, actor), _oncall(loaded), _files(loaded), *listening.checked(loaded),
    ]  # fmt: skip


def _apps(loaded: Loaded) -> list[Check]:
    """Say what comes first where there is no app: nothing is wrong with a service that waits for it."""
    if loaded.settings.apps:
        return []
    says = (
        "No app yet, so nothing is watched. Add one under [[apps]] and start again; the console's first page "
        "has the lines for each provider."
    )
    return [Check("apps", None, says)]


async def _inside(parts: Parts, actor: Actor) -> list[Check]:
    return [
        await _keys(parts),
        await _database(parts),
        *await watched(parts, actor),
        *await _providers(parts),
        *await _refused(parts),
        *await _stretched(parts),
        *await doors.checked(parts),
        *await costs.checked(parts, await intervals_now(parts)),
        *await access_lines(parts),
        *await webhooks_checked(parts, actor),
    ]


async def _keys(parts: Parts) -> Check:
    used = [k for k in parts.vault.key_ids if await sealing.uses_key(parts.database, prefixes_of(k))]
    where = "TOKEN_HEALTH_KEYS" if parts.loaded.keys_from_environment else str(parts.loaded.key_file)
    return Check(
        "keys",
        True,
        f"{where}: {len(parts.vault.key_ids)} at hand, {len(used)} in use; {parts.vault.current} seals.",
    )


async def _database(parts: Parts) -> Check:
    theirs = await processes.clock(parts.database)
    skew = abs(theirs - parts.clock.now()) if theirs is not None else timedelta(0)
    if skew > LARGEST_SKEW:
        return Check("database", False, f"Its clock is {span(skew)} off ours; run NTP on both.")
    return Check("database", True, f"{parts.database.name}: reachable, schema current.")


async def _refused(parts: Parts) -> list[Check]:
    """Say which of our processes are refused by which providers, while others are served."""
    async with parts.database.read() as conn:
        found = await processes.blocked(conn)
    now = parts.clock.now()
    return [
        Check(
            "egress", False,
            f"{one.provider} has refused {one.process} alone for {span(now - one.since)}: it rests, and "
            "others do its work. Have the address that it comes from allowed there, or stop it.",
        )
        for one in found
    ]  # fmt: skip


async def watched(parts: Parts, actor: Actor) -> list[Check]:
    """Check what is on record of connections: whether they are watched, or wait for a person."""
    actor.needs(Right.SETTINGS_READ)
    return [await _connections(parts), *await _accounts(parts)]


async def _connections(parts: Parts) -> Check:
    sizes = await connections.per_app(parts.database)
    unwatched = await connections.unwatched(parts.database, parts.apps)
    if unwatched:
        return Check("connections", None, " ".join(not_watched(app, n) for app, n in unwatched.items()))
    total = sum(sizes.values())
    if not total:
        return Check(
            "connections", None, "None is watched yet.", (Remedy("imports.take_in", "takes some in"),)
        )
    return Check("connections", True, f"{total} watched.")


async def _accounts(parts: Parts) -> list[Check]:
    """Say which first authorizations wait for a person, and which tokens are for another provider by now."""
    found = []
    for grant in await bindings.waiting(parts.database):
        remedies = account_remedies(grant.connection, grant.account.ids)
        found.append(Check("accounts", False, f"{grant.sentence}. You decide.", remedies))
    places = {app.id: app.place for app in parts.apps.values()}
    for app, count in (await connections.elsewhere(parts.database, places)).items():
        says = (
            f"{app} stands for another provider or region in [[apps]] than when the tokens of {count} "
            "connections were stored. They are sent nowhere: put that back, or import them with new tokens."
        )
        found.append(Check("apps", False, says))
    if old := await sealing.bound_to_row_alone(parts.database):
        says = f"The tokens of {old} connections are not bound to their app yet."
        found.append(Check("keys", None, says, (Remedy("keys.rotate", "binds them"),)))
    return found


async def _providers(parts: Parts) -> list[Check]:
    wire = build_wire(parts)
    try:
        return [await _provider(app, wire) for app in parts.apps.values()]
    finally:
        await wire.close()


async def _provider(app: App, wire: Wire) -> Check:
    """Ask whoami without a token: any answer of the API itself will do, best a 401."""
    url = _question(app)
    reply = await wire.get(url)
    host = urlsplit(url).netloc
    if isinstance(reply, Fault):
        return Check(app.id, False, f"{host}: {reply.kind.value}: {reply.detail}.")
    skew = _skew(reply)
    if skew is not None and skew > LARGEST_SKEW:
        return Check(app.id, False, f"{host}: our clock is {span(skew)} off; run NTP.")
    if reply.status >= 500:
        return Check(app.id, None, f"{host}: reachable, but answers {reply.status} now.")
    return Check(app.id, True, f"{host}: reachable, answers {reply.status} to a question without a token.")


def _question(app: App) -> str:
    """Return a URL of the API; what differs from connection to connection is made up."""
    if app.endpoints is None:
        return app.auth_url + app.provider.oauth.discover
    values = app.provider.values
    there = app.at({name: "0" for name in app.at({}).lacks if not values[name].hosts}).endpoints
    return (there and (there.whoami or there.token)) or app.base_url


def _skew(reply: Reply) -> timedelta | None:
    try:
        date = parsedate_to_datetime(reply.header(b"date") or "")
    except (KeyError, ValueError, TypeError):
        return None
    return abs(date - SystemClock().now()) if date.tzinfo else None


async def _stretched(parts: Parts) -> Iterable[Check]:
    return [
        Check(
            "interval",
            None,
            f"{app} is probed every {span(interval, units=2)} instead of {span(wanted, units=2)}: its "
            "app-wide rate limit allows no more.",
        )
        for app, interval, wanted in await stretched_now(parts)
    ]


async def webhooks_checked(parts: Parts, actor: Actor) -> list[Check]:
    """Say which endpoints get nothing, or take nothing; one line where all is well."""
    actor.needs(Right.SETTINGS_READ)
    found, now = await endpoints.every(parts.database), parts.clock.now()
    checks = []
    for one in found:
        if one.secret is None:
            says = f"{one.id}: its secret is lost with its key, so it gets nothing."
            checks.append(
                Check("webhooks", False, says, (Remedy("webhooks.rotate", "gives it another", one.id),))
            )
        elif one.state in (State.GONE, State.FAILING):
            says = f"{one.id} is {one.state.value}: it gets nothing. Mend it at its side first."
            checks.append(
                Check(
                    "webhooks", False, says, (Remedy("webhooks.enable", "lets it get events again", one.id),)
                )
            )
        elif one.state is State.ACTIVE and one.failing_since is not None:
            says = f"{one.id} has taken nothing for {span(now - one.failing_since)}."
            checks.append(Check("webhooks", None, says, (Remedy("webhooks.test", "tries it", one.id),)))
    if found and not checks:
        checks.append(
            Check("webhooks", True, f"{len(found)} of them take what they are sent, or had nothing yet.")
        )
    return checks


async def _smtp(loaded: Loaded) -> tuple[Check, bool | None]:
    """Ask the mail server for everything that comes before a recipient; and whether it offers SMTPUTF8."""
    if not loaded.settings.smtp.sender:
        return Check("smtp", None, "smtp.from is not set, so no client is mailed."), None
    try:
        server = loaded.mail_server()
        sender = Sender.parse(loaded.settings.smtp.sender, loaded.settings.brand.reply_to)
        async with Session(server) as session:
            await session.greet(sender.address, utf8=sender.needs_utf8)
            utf8 = session.utf8
    except (TokenHealthError, Unreachable) as error:
        return Check.failed("smtp", error), None
    how = "TLS" if server.implicit_tls else "STARTTLS" if server.starttls else "without encryption"
    who = f", signed in as {server.username}" if server.username else ""
    says = f"{server.name}: reachable, {how}{who}, takes mail from {sender.address}."
    return Check("smtp", True, says, (Remedy("mails.test", "sends one"),)), utf8


async def _with_its_past(parts: Parts, smtp: Check) -> Check:
    """Add since when the service has found the mail server so, where it is down."""
    if smtp.ok is not False:
        return smtp
    known = await on_record(parts.database, parts.loaded.mail_server().name)
    if known.down_since is None:
        return smtp
    ago = span(parts.clock.now() - known.down_since)
    return replace(smtp, says=f"{smtp.says.rstrip('.')}. The service has found it so for {ago}.")


async def _addresses(parts: Parts, utf8: bool | None) -> list[Check]:
    """Say which addresses need more of the mail server than others."""
    found = [f"{to} ({name})" for name, to in await published.contacts(parts.database) if needs_utf8(to)]
    if needs_utf8(operator := parts.loaded.settings.email.operator):
        found.append(f"{operator} (email.operator)")
    if not found:
        return []
    who = found[0] + (f" and {len(found) - 1} more" if len(found) > 1 else "")
    if utf8 is None:
        return [
            Check("addresses", None, f"{who}: mailed only where the server offers SMTPUTF8; not known here.")
        ]
    if utf8:
        return [Check("addresses", True, f"{who}: the mail server takes such letters (SMTPUTF8).")]
    return [Check("addresses", False, f"{who} cannot be mailed: {NO_UTF8}. Record another address.")]


def _files(loaded: Loaded) -> Check:
    """Say which files others may read: those made by an older version, or copied under another umask."""
    try:
        found = wider([*loaded.secret_files(), *files_of(loaded.database_url())])
    except TokenHealthError as error:
        return Check.failed("files", error)
    if not found:
        return Check("files", True, "Configuration, secrets and database: for their owner only.")
    listed = " ".join(str(one.path) for one in found)
    return Check(
        "files", None, f"Others may read {', '.join(map(str, found))}. If they need not: chmod 600 {listed}"
    )


def _oncall(loaded: Loaded) -> Check:
    try:
        names = [route.name for route in loaded.routes() if build_channel(loaded, route)]
    except TokenHealthError as error:
        return Check.failed("on-call", error)
    if not names:
        says = "No channel of its own; Prometheus pages."
        return Check("on-call", None, says, (Remedy("exporting.rules", "writes what it loads"),))
    return Check("on-call", True, f"{', '.join(names)}.", (Remedy("oncall.test", "tries them"),))


def _mails(loaded: Loaded) -> Check:
    """Write every kind in every language: an override may lack a brace in any of them."""
    if (trouble := templates_trouble(loaded)) is not None:
        return Check("mails", False, trouble)
    own = loaded.settings.email.templates
    return Check(
        "mails",
        True,
        f"{len(KINDS)} kinds in {len(languages())} languages can be written"
        + (f", with the templates of {own} first." if own else "."),
    )
