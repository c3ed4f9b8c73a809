"""Breaks long texts into short fields, at spaces where possible. No character is lost silently."""

from __future__ import annotations

from collections.abc import Sequence


def wrap(text: str, longest: int) -> list[str]:
    """Break a text into pieces of at most `longest` characters, at spaces. Only a longer word is broken inside.

    White space of any length (line ends too) counts as one space. An empty text has no pieces.
    """
    pieces: list[str] = []
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) <= longest:
            line = f"{line} {word}"
            continue
        if line:
            pieces.append(line)
        rest = word
        while len(rest) > longest:
            pieces.append(rest[:longest])
            rest = rest[longest:]
        line = rest
    return [*pieces, line] if line else pieces


def spread(texts: Sequence[str], fields: int, longest: int, before: str = "") -> tuple[list[str], str]:
    """Spread texts over `fields` lines of at most `longest` characters, each text on its own line if possible.

    Uses the first layout that fits: each text on its own line or, if an earlier text took more than one line, on the next
    free line; the same without blank lines; all texts joined by commas. `before` is a text for the first lines, such as
    the end of a name that was too long for its own field.

    Returns exactly `fields` lines (`""` for a blank line), and the text that does not fit (`""` if everything fits).
    """
    wrapped = [wrap(text, longest) for text in texts]
    if before:
        wrapped[0] = [*wrap(before, longest), *wrapped[0]]
        texts = [before, *texts]
    placed = _in_place(wrapped, fields)
    if placed is None:
        pieces = [piece for lines in wrapped for piece in lines]
        if len(pieces) > fields:
            pieces = wrap(", ".join(" ".join(text.split()) for text in texts if text.strip()), longest)
        placed = pieces
    lines = placed[:fields] + [""] * (fields - len(placed))
    return lines, " ".join(placed[fields:])


def _in_place(wrapped: Sequence[Sequence[str]], fields: int) -> list[str] | None:
    """Each text at its own index, or after the texts before it if they need the space; None if that does not fit."""
    lines: list[str] = []
    for index, pieces in enumerate(wrapped):
        if not pieces:
            continue
        lines += [""] * (index - len(lines))
        lines += pieces
    return lines if len(lines) <= fields else None
