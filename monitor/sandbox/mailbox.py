"""A mailbox for the demo: an SMTP server that keeps what it takes, and a page to read it in.

python -m monitor.sandbox.mailbox --smtp 0 --port 0 prints both addresses when it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import email
import email.policy
import html
import socket
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import uvicorn
from aiosmtpd.smtp import SMTP
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

_STYLE = (
    "*{box-sizing:border-box}body{margin:0;background:#eef1f4;color:#22303c;"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}main{max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}h1{font-size:1.4rem}"
    "ol{list-style:none;padding:0;margin:0;background:#fff;border-radius:10px}"
    "li a{display:grid;grid-template-columns:14rem 1fr;gap:1rem;padding:.8rem 1.2rem;color:inherit;"
    "text-decoration:none;border-bottom:1px solid #e3e8ee}"
    "li a:hover{background:#f6f8fa}li small{color:#52616f}"
    "iframe{width:100%;height:46rem;border:0;border-radius:10px;background:#eef1f4}"
    "dl{display:grid;grid-template-columns:8rem 1fr;gap:.2rem 1rem}dt{color:#52616f}dd{margin:0}"
    "pre{background:#fff;padding:1.2rem;border-radius:10px;white-space:pre-wrap;overflow-wrap:anywhere}"
)


@dataclass
class Mailbox:
    """What was taken, oldest first."""

    mails: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a message."""
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)  # noqa: S101 - what this policy makes
        self.mails.append(message)
        return "250 taken"

    async def index(self, request: Request) -> Response:
        """List the mails, newest first."""
        rows = "".join(
            f'<li><a href="/mail/{number}"><small>{html.escape(str(mail["To"]))}</small>'
            f"<span>{html.escape(str(mail['Subject']))}</span></a></li>"
            for number, mail in reversed(list(enumerate(self.mails)))
        )
        empty = "<p>No mail yet. This page looks again every two seconds.</p>"
        head = '<meta http-equiv="refresh" content="2">'
        return HTMLResponse(_page("Mailbox", f"<ol>{rows}</ol>" if rows else empty, head))

    async def mail(self, request: Request) -> Response:
        """Show one mail as a mail program does, and its text part."""
        number = int(request.path_params["number"])
        if number >= len(self.mails):
            return HTMLResponse(_page("Mailbox", "<p>There is no such mail.</p>"), 404)
        mail = self.mails[number]
        heads = "".join(
            f"<dt>{name}</dt><dd>{html.escape(str(mail[name] or '–'))}</dd>"
            for name in ("From", "To", "Subject", "Date")
        )
        frame = html.escape(_part(mail, "html"), quote=True)
        body = (
            f'<p><a href="/">← All mails</a></p><dl>{heads}</dl>'
            '<iframe title="The mail" sandbox="allow-popups allow-popups-to-escape-sandbox '
            f'allow-top-navigation-by-user-activation" srcdoc="{frame}"></iframe>'
            f"<h2>As text</h2><pre>{html.escape(_part(mail, 'plain'))}</pre>"
        )
        return HTMLResponse(_page(html.escape(str(mail["Subject"])), body))

    async def messages(self, request: Request) -> Response:
        """Return all mails as JSON, for programs."""
        return JSONResponse(
            [
                {
                    "to": str(mail["To"]),
                    "subject": str(mail["Subject"]),
                    "message_id": str(mail["Message-ID"]),
                    "text": _part(mail, "plain"),
                    "html": _part(mail, "html"),
                }
                for mail in self.mails
            ]
        )


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    return str(part.get_content()) if part is not None else ""


def _page(title: str, body: str, head: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"
    )


async def _serve(smtp_port: int, port: int) -> None:
    box, loop = Mailbox(), asyncio.get_running_loop()
    taking = await loop.create_server(
        lambda: SMTP(box, hostname="mailbox.example", enable_SMTPUTF8=True, loop=loop), "127.0.0.1", smtp_port
    )
    app = Starlette(
        routes=[
            Route("/", box.index),
            Route("/mail/{number:int}", box.mail),
            Route("/messages.json", box.messages),
        ]
    )
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    where = taking.sockets[0].getsockname()[1]
    print(f"smtp://127.0.0.1:{where} http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off")
    await uvicorn.Server(config).serve(sockets=[listener])
    taking.close()


def main() -> None:
    """Serve on loopback until the process ends."""
    parser = argparse.ArgumentParser(description="A mailbox to practise on.")
    parser.add_argument("--smtp", type=int, default=1025, help="where mail is taken; 0 takes a free port")
    parser.add_argument("--port", type=int, default=8025, help="where it is read; 0 takes a free port")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C of the demo reaches it, too
        asyncio.run(_serve(given.smtp, given.port))


if __name__ == "__main__":
    main()
