"""Previews of mails as files that a browser, or a screenshot, can show."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def gallery(written: Sequence[tuple[str, str]]) -> str:
    """Return a page that shows every mail at the width of a phone and of a desk."""
    mails = "".join(
        f'<section><h2>{escape(stem)}</h2><p>{escape(subject)} · <a href="{stem}.html">html</a> · '
        f'<a href="{stem}.txt">text</a></p><div><iframe src="{stem}.html" width="360" height="900" '
        f'title="{escape(stem)}, phone"></iframe><iframe src="{stem}.html" width="700" height="900" '
        f'title="{escape(stem)}, desk"></iframe></div></section>'
        for stem, subject in written
    )
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;margin:2rem;color:#22303c}h2{margin:2rem 0 0}"
        "p{margin:0 0 .5rem;color:#52616f}div{display:flex;flex-wrap:wrap;gap:1rem}"
        "iframe{border:1px solid #dde3e8;border-radius:8px;background:#fff}"
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Mails</title>'
        f"<style>{style}</style><h1>Mails</h1>{mails}</html>"
    )
