"""The sandbox's own pages: consent, and a console where a visitor removes the app as a firm would."""

from __future__ import annotations

import html

from monitor.sandbox.state import App, Grant, User, World

_STYLE = (
    "*{box-sizing:border-box}body{margin:0;background:#f0f3f7;color:#1d2a3a;"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}"
    "main{max-width:34rem;margin:3rem auto;background:#fff;border-radius:10px;padding:2rem;"
    "border-top:4px solid #0070e0}main.wide{max-width:56rem}h1{font-size:1.5rem;margin:0 0 1rem}"
    "p{margin:0 0 1rem}small{color:#5a6b7d}"
    "label{display:grid;grid-template-columns:auto 1fr;gap:0 .75rem;padding:.6rem .25rem;"
    "border-bottom:1px solid #e3e8ee;cursor:pointer}label small{grid-column:2}"
    "button{font:inherit;font-weight:600;padding:.6rem 1.25rem;border-radius:6px;border:1px solid #0070e0;"
    "background:#fff;color:#0058b0;cursor:pointer;margin:1.25rem .5rem 0 0}"
    "button[value=approve]{background:#0070e0;color:#fff}"
    "td form{margin:0}td button{margin:0;padding:.3rem .8rem}"
    "table{width:100%;border-collapse:collapse}th{text-align:left;color:#5a6b7d;font-weight:500}"
    "td,th{padding:.5rem .5rem;border-bottom:1px solid #e3e8ee}.off{color:#b3261e}.on{color:#1c7a4a}"
    ":focus-visible{outline:3px solid #f2a900;outline-offset:2px}"
)


def page(title: str, body: str, wide: bool = False) -> str:
    """Return a whole page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} – Clio sandbox</title><style>{_STYLE}</style></head><body>"
        f"<main{' class=wide' if wide else ''}><h1>{title}</h1>{body}"
        "<p><small>This is a sandbox to practise on. It is not Clio.</small></p></main></body></html>"
    )


def consent(app: App, users: list[User]) -> str:
    """Return the consent page: which account, and whether."""
    choices = "".join(
        f'<label><input type="radio" name="user" value="{user.id}" required> '
        f"<span>{html.escape(user.account_name)}</span><small>{html.escape(user.email)}</small></label>"
        for user in users
    )
    wants = ", ".join(sorted(name.replace("_", " ") for name in app.permissions)) or "your name only"
    return page(
        "Authorize this app",
        f"<p><b>{html.escape(app.client_id)}</b> asks to read: {html.escape(wants)}.</p>"
        f"<form method=post><p>Which account are you signed in to?</p>{choices}"
        '<button name="decision" value="approve">Approve</button>'
        '<button name="decision" value="decline" formnovalidate>Decline</button></form>',
    )


def console(world: World) -> str:
    """Return the list of what every firm granted, the newest grant of each, with a way to remove it."""
    newest: dict[tuple[str, str], Grant] = {(g.user, g.app): g for g in world.grants.values()}
    rows = "".join(_row(world, grant) for grant in newest.values())
    return page(
        "Connected apps",
        "<p>What each firm would see under its connected apps. Remove one, and see what happens.</p>"
        f"<table><tr><th>Firm</th><th>App</th><th>Access</th><th></th></tr>{rows}</table>",
        wide=True,
    )


def _row(world: World, grant: Grant) -> str:
    user = world.users[grant.user]
    dead = grant.revoked or bool(grant.refresh_dead)
    state = '<span class="off">removed</span>' if dead else '<span class="on">allowed</span>'
    button = "" if dead else "<button>Remove the app</button>"
    return (
        f"<tr><td>{html.escape(user.account_name)}</td><td>{html.escape(grant.app)}</td><td>{state}</td>"
        f'<td><form method="post" action="/console/{grant.id}/remove">{button}</form></td></tr>'
    )
