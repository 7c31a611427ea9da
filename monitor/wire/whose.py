"""Whose token it is, as a provider's whoami answers. Pure."""

from __future__ import annotations

from typing import Any

from monitor.health.evidence import Identity, account_number
from monitor.secret import Secret
from monitor.text.echoes import without_token
from monitor.text.names import one_line
from monitor.wire.answers import pick_all, pick_list
from monitor.wire.apps import App


def identity(app: App, document: Any, expected: str | None, token: Secret) -> Identity:
    """Return whom a token speaks for, by a good answer to whoami at this app of one connection.

    `expected` is the account on record. Where a token reaches several accounts, it is that one if it is among
    them, and the only one if there is just one; otherwise none, and all of them are named.
    """
    where = app.provider.whoami
    found = pick_all((where.account_id, where.account_name, where.user), document)
    name, user = (_shown(text, token) for text in found[1:])
    if where.account_value:
        # That whoami answers at this connection's own URL is the proof.
        return Identity(account_number(app.values.get(where.account_value)), name, user)
    if not where.accounts:
        number = account_number(found[0])
        # The number stays as it is: some tokens begin with it (an organization's id, and then the secret).
        return Identity(None if number == token.reveal() else number, name, user)
    every = _accounts(app, document, token)
    mine = next((one for one in every if one[0] == expected), None)
    if mine is None and expected is None and len(every) == 1:
        mine = every[0]
    return Identity(mine[0], mine[1] or None, user, every) if mine else Identity(None, None, user, every)


def _accounts(app: App, document: Any, token: Secret) -> tuple[tuple[str, str], ...]:
    where = app.provider.whoami
    ids, names = pick_list(where.accounts, document), pick_list(where.account_names, document)
    if len(names) != len(ids):
        names = [None] * len(ids)  # whose name is whose is not known then
    numbers = [account_number(text) for text in ids]
    pairs = {
        number: _shown(name, token) or ""
        for number, name in zip(numbers, names, strict=True)
        if number is not None and number != token.reveal()
    }
    return tuple(pairs.items())


def _shown(text: str | None, token: Secret) -> str | None:
    return one_line(without_token(text, token)) if text else None
