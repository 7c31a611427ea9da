"""Names as people and providers give them: what no name has, and how one is shown."""

from __future__ import annotations

import unicodedata

# Beside Unicode's bidi controls (UAX #9): marks that are not seen, and make two names look alike.
_MARKS = {"\u200e", "\u200f", "\u061c", "\ufeff", "\u200b", "\u2060", "\u00ad", "\u180e"}
_BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_BREAKS = ("Cc", "Zl", "Zp")  # controls (C0, DEL, C1), and the separators of lines and paragraphs


def unprintable(text: str) -> str | None:
    """Return the first character that breaks a line, steers a terminal or is none, such as U+0085."""
    found = next((char for char in text if unicodedata.category(char) in (*_BREAKS, "Cs")), None)
    return f"U+{ord(found):04X}" if found is not None else None


def one_line(text: str, longest: int = 200) -> str:
    """Make a name harmless: one line, no control characters, nothing that turns the reading direction.

    Emoji and every script stay. The bidi controls of Unicode (UAX #9) could make what follows a name read
    as part of it.
    """
    if text.isascii() and text.isprintable():  # nearly all that providers answer
        return " ".join(text[: longest * 4].split())[:longest]
    kept = []
    for char in unicodedata.normalize("NFC", text[: longest * 4]):
        category = unicodedata.category(char)
        if category in _BREAKS:
            kept.append(" ")
        elif unicodedata.bidirectional(char) in _BIDI or char in _MARKS or category in ("Cs", "Co", "Cn"):
            continue
        else:
            kept.append(char)
    return " ".join("".join(kept).split())[:longest]
