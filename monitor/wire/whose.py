"""Whose token it is, as a provider's whoami answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.health.evidence import Identity, account_number
from monitor.providers.schema import Whoami
from monitor.secret import Secret
from monitor.text.echoes import without_token
from monitor.text.names import one_line
from monitor.wire.answers import pick_all, pick_list


def identity(
    where: Whoami, values: Mapping[str, str], document: Any, expected: str | None, token: Secret | None = None
) -> Identity:
    """Return whom a token speaks for, by a good answer to a whoami that was asked with a connection's values.

    `expected` is the account on record. Where a token reaches several accounts, it is that one if it is among
    them, and the only one if there is just one; otherwise none, and all of them are named.
    """
    found = pick_all((where.account_id, where.account_name, where.user), document)
    name, user = (_shown(text, token) for text in found[1:])
    if where.account_value:
        # That whoami answers at this connection's own URL is the proof.
        return Identity(account_number(values.get(where.account_value)), name, user)
    if not where.accounts:
        number = account_number(found[0])
        # The number stays as it is: some tokens begin with it (an organization's id, and then the secret).
        return Identity(None if _is(token, number) else number, name, user)
    every = _accounts(where, document, token)
    mine = next((one for one in every if one[0] == expected), None)
    if mine is None and expected is None and len(every) == 1:
        mine = every[0]
    return Identity(mine[0], mine[1] or None, user, every) if mine else Identity(None, None, user, every)


def _accounts(where: Whoami, document: Any, token: Secret | None) -> tuple[tuple[str, str], ...]:
    ids, names = pick_list(where.accounts, document), pick_list(where.account_names, document)
    if len(names) != len(ids):
        names = [None] * len(ids)  # whose name is whose is not known then
    numbers = [account_number(text) for text in ids]
    pairs = {
        number: _shown(name, token) or ""
        for number, name in zip(numbers, names, strict=True)
        if number is not None and not _is(token, number)
    }
    return tuple(pairs.items())


def _is(token: Secret | None, text: str | None) -> bool:
    return token is not None and token.reveal() == text


def _shown(text: str | None, token: Secret | None) -> str | None:
    if not text:
        return None
    return one_line(without_token(text, token) if token is not None else text)
