"""Text that is nothing but text, wherever a page is read: no mention, no link, no tag.

Names and answers of others stand in pages. Slack reads `<!channel>` and `<http://evil|click>` in them,
Discord `@everyone` and `[click](http://evil)`, Mattermost loads `![](http://evil)`, others read HTML;
Alertmanager hands its annotations to any of them as they are. Each escapes by rules of its own, apprise
follows some of them, and a bot or a bridge behind may undo one. So what is markup anywhere is written so that
it is markup nowhere: angle brackets as their look-alikes, and an invisible word joiner (U+2060) where a
mention or a link would begin. What is our own, such as the runbook's address, does not pass through here.
"""

from __future__ import annotations

import re

JOINER = "\u2060"
# What calls many at once is broken up anywhere, the rest where a word begins: ann@firm.example calls nobody.
_MENTION = re.compile(r"@(?=everyone|here|channel|all|room|team|online)|(?<![\w.+-])@", re.IGNORECASE)
_LABELLED = re.compile(r"\](?=\s*[\[(:])")
_ADDRESS = re.compile(r"(?<=[a-z0-9+.-]):(?=//)|\bwww(?=\.)", re.IGNORECASE)
_ANGLES = str.maketrans({"<": "‹", ">": "›"})


def inert(text: str) -> str:
    """Return the text so that no service sees markup in it; people read the same."""
    text = _MENTION.sub(f"@{JOINER}", text.translate(_ANGLES))
    text = _LABELLED.sub(f"]{JOINER}", text)
    return _ADDRESS.sub(lambda match: match.group() + JOINER, text)
