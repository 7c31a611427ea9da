"""Takes what was just sent out of what came back, whichever way the other side wrote it down.

Servers quote the request in their errors: as it came, percent-encoded, in base64, escaped for JSON or HTML,
wrapped at a column, or cut short. `evidence.redact` knows how secrets usually look; here the very secrets are
known. So text is compared with them at several depths of decoding, and a piece of one counts as all of it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Container, Iterable
from html.entities import html5
from urllib.parse import quote, quote_plus

from monitor.secret import Secret

REMOVED = "[removed]"
# So many characters of a secret in a row are a piece of it, wherever they stand; fewer are chance.
PIECE = 12
# At the edges of a text a secret may have been cut, so that a shorter piece is one as well. Not shorter yet:
# error codes are read by rules, and once in millions of answers one would begin as some token ends.
EDGE = 6
# A "secret" shorter than this would be found in half of all words.
SHORTEST = 4
# An echo inside a quoted document inside another: deeper than this nobody nests one by accident.
DEPTH = 3
_BLOCK = PIECE // 2
# Text from here on need not be compared one by one: the pieces are gathered once.
_LONG = 64

_ESCAPE = re.compile(
    r"%u([0-9A-Fa-f]{4})|%([0-9A-Fa-f]{2})|\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})|=([0-9A-F]{2})"
    r"|&\#[xX]0*([0-9A-Fa-f]{1,6});?|&\#0*(\d{1,7});?|&(\w{2,8};)|\\([/\"'\\])"
)
_SOFT_BREAK = re.compile(r"=\r?\n")  # quoted-printable (RFC 2045 6.7)
# Wrapped lines, spaces put in, zero bytes of UTF-16 and invisible characters: no part of any secret.
_BLANK = frozenset(
    map(chr, (*range(0x21), 0x7F, 0x85, 0xA0, 0xAD, 0x200B, 0x200C, 0x200D, 0x2028, 0x2029, 0x2060, 0xFEFF))
)
_NO_BLANK = dict.fromkeys(map(ord, _BLANK))
_URL_SAFE = str.maketrans("-_", "+/")


def without(text: str, sent: Iterable[Secret]) -> str:
    """Return `text` with every echo of the secrets replaced by `[removed]`."""
    plain, coded = _needles(sent)
    if len(text) < SHORTEST or not _perhaps(text, plain, coded):
        return text
    covered: set[int] = set()
    broken = {at for match in _SOFT_BREAK.finditer(text) for at in range(*match.span())}
    level = [(character, at, at + 1) for at, character in enumerate(text) if at not in broken]
    for _ in range(DEPTH + 1):
        seen = [(c, start, end) for c, start, end in level if c not in _BLANK]
        shown = _folded("".join(c for c, _, _ in seen))
        _cover(shown, plain, seen, covered)
        _cover(shown.translate(_URL_SAFE), coded, seen, covered)
        decoded = _decoded(seen)
        if decoded is None:
            break
        level = decoded
    return _cut_out(text, covered)


def without_token(text: str, token: Secret) -> str:
    """Do the same for a word of a good answer, as each probe has some: only a plain echo is looked for."""
    return without(text, (token,)) if _shares_block(text, token.reveal()) else text


def _perhaps(text: str, plain: list[str], coded: list[str]) -> bool:
    """Whether it is worth to look closely; a hundredth of its cost, as nearly all answers echo nothing."""
    text = _SOFT_BREAK.sub("", text).translate(_NO_BLANK)
    for _ in range(DEPTH + 1):
        shown = _folded(text)
        if _has_block(shown, plain) or _has_block(shown.translate(_URL_SAFE), coded):
            return True
        decoded = _ESCAPE.sub(lambda match: _meant(match) or match.group(), text).translate(_NO_BLANK)
        if decoded == text:
            break
        text = decoded
    return False


def _has_block(shown: str, needles: list[str]) -> bool:
    # Wherever a piece begins, one of these blocks of the shorter of the two lies in it as a whole.
    start, end = shown[:PIECE], shown[-PIECE:]
    return any(
        needle[:EDGE] in end
        or needle[-EDGE:] in start
        or _shares_block(*((needle, shown) if len(needle) < len(shown) else (shown, needle)))
        or (len(needle) < _BLOCK and needle in shown)
        for needle in needles
    )


def _shares_block(shorter: str, longer: str) -> bool:
    return any(shorter[at : at + _BLOCK] in longer for at in range(0, len(shorter) - _BLOCK + 1, _BLOCK))


def _needles(sent: Iterable[Secret]) -> tuple[list[str], list[str]]:
    """Return what to look for: the secrets (and their hexadecimal form), and what base64 makes of them."""
    plain: dict[str, None] = {}
    coded: dict[str, None] = {}
    for secret in sent:
        text = secret.reveal()
        if len(text) < SHORTEST:
            continue
        # Percent-encoded letters beyond ASCII are read back byte by byte.
        for written in (text, text.encode().hex(), text.encode().decode("latin-1")):
            plain[_bare(written)] = None
        for written in {text, quote(text, safe=""), quote_plus(text)}:
            for needle in _in_base64(written.encode()):
                coded[_folded(needle)] = None
    return [n for n in plain if len(n) >= SHORTEST], [n for n in coded if len(n) >= SHORTEST]


def _bare(text: str) -> str:
    return _folded(text.translate(_NO_BLANK))


def _folded(text: str) -> str:
    # Small letters, one for each: places are counted by characters.
    low = text.lower()
    return low if len(low) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _in_base64(data: bytes) -> list[str]:
    """Return how base64 writes data within more data: three ways, by where in a group of three it begins."""
    found = []
    for before in range(3):
        text = base64.b64encode(b"\0" * before + data).decode()
        groups, rest = divmod(before + len(data), 3)
        start = (0, 2, 3)[before]
        # Where more data follows, the last character depends on it.
        found += [text[start : groups * 4 + rest], text[start:].rstrip("=")]
    return found


def _cover(shown: str, needles: list[str], seen: list[tuple[str, int, int]], covered: set[int]) -> None:
    """Note the places of the text from which a piece of a needle was read."""

    def note(start: int, end: int) -> None:
        for _, first, last in seen[start:end]:
            covered.update(range(first, last))

    long = [n for n in needles if len(n) >= PIECE]
    everything = "\n".join(long)
    pieces: Container[str] = everything
    if len(shown) > _LONG:
        pieces = {everything[i : i + PIECE] for i in range(len(everything) - PIECE + 1)}
    for at in range(len(shown) - PIECE + 1) if long else ():
        if shown[at : at + PIECE] in pieces:
            note(at, at + PIECE)
    for needle in needles:
        if len(needle) < PIECE:
            at = shown.find(needle)
            while at >= 0:
                note(at, at + len(needle))
                at = shown.find(needle, at + 1)
        _edges(shown, needle, note)


def _edges(shown: str, needle: str, note: Callable[[int, int], None]) -> None:
    """A secret may have lost its end at the end of the text, or its beginning at the beginning."""
    longest = min(PIECE, len(needle), len(shown))
    for length in range(longest, EDGE - 1, -1):
        if shown.endswith(needle[:length]):
            note(len(shown) - length, len(shown))
            break
    for length in range(longest, EDGE - 1, -1):
        if shown.startswith(needle[-length:]):
            note(0, length)
            break


def _decoded(level: list[tuple[str, int, int]]) -> list[tuple[str, int, int]] | None:
    """Undo one layer of escapes, keeping where each character stood; None where there was none."""
    text = "".join(c for c, _, _ in level)
    found: list[tuple[str, int, int]] = []
    last = 0
    for match in _ESCAPE.finditer(text):
        meant = _meant(match)
        if meant is None:
            continue
        found += level[last : match.start()]
        start, end = level[match.start()][1], level[match.end() - 1][2]
        # One place in the original may mean several characters (&fjlig;).
        found += [(character, start, end) for character in meant]
        last = match.end()
    return found + level[last:] if last else None


def _meant(match: re.Match[str]) -> str | None:
    digits = match.groups()
    for hexadecimal in (*digits[:6],):
        if hexadecimal is not None:
            return _character(int(hexadecimal, 16))
    if digits[6] is not None:
        return _character(int(digits[6]))
    if digits[7] is not None:
        return html5.get(digits[7])
    return digits[8]


def _character(number: int) -> str:
    # One character each, since places are counted by characters.
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"


def _cut_out(text: str, covered: set[int]) -> str:
    if not covered:
        return text
    parts: list[str] = []
    for at, character in enumerate(text):
        if at not in covered:
            parts.append(character)
        elif at - 1 not in covered:
            parts.append(REMOVED)
    return "".join(parts)
