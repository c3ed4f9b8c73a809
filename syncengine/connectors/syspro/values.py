"""SYSPRO's numbers, dates and characters (syspro-transport.md section 6): read tolerantly, written exactly."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?-?\Z")
_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)-?\Z")
_DATE = re.compile(r"(\d{4})[-/](\d{2})[-/](\d{2})(?:[T ].*)?\Z")
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})\Z")
_BLANKS = re.compile(r"\s")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# Letters that Unicode does not take apart, as they are commonly written in ASCII or Windows-1252.
_LETTERS = str.maketrans(
    {
        "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ħ": "h", "Ħ": "H", "ı": "i", "ĸ": "k", "ŋ": "n", "Ŋ": "N", "ŧ": "t",
        "Ŧ": "T", "ə": "e", "Ə": "E", "ẞ": "SS", "ĳ": "ij", "Ĳ": "IJ", "ſ": "s", "ɓ": "b", "ƙ": "k", "ɗ": "d",
        "−": "-", "‐": "-", "‑": "-", "‒": "-", "―": "-", "⁄": "/", "′": "'", "″": '"', "№": "No", "₤": "£",
        "\u200b": "", "\u200c": "", "\u200d": "", "\ufeff": "", "\u00ad": "",
        "\ufe0e": "", "\ufe0f": "",  # say how the character before them looks
    }
)  # fmt: skip
_CYRILLIC = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґ",
        "a|b|v|g|d|e|e|zh|z|i|i|k|l|m|n|o|p|r|s|t|u|f|kh|ts|ch|sh|shch||y||e|iu|ia|i|i|ie|g".split("|"),  # noqa: SIM905
        strict=True,
    )
)
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρσςτυφχψω",
        "a|v|g|d|e|z|i|th|i|k|l|m|n|x|o|p|r|s|s|t|y|f|ch|ps|o".split("|"),  # noqa: SIM905
        strict=True,
    )
)
_ALPHABETS = {**_CYRILLIC, **_GREEK}


def number(text: str) -> Decimal | None:
    """The number of a padded text, with thousands commas and a leading or trailing minus; None if blank.

    Raises:
        ValueError: anything else, a decimal comma included, which would otherwise be read a hundredfold.
    """
    shown = _BLANKS.sub("", text)
    if not shown:
        return None
    if _GROUPED.match(shown):
        shown = shown.replace(",", "")
    elif not _PLAIN.match(shown):
        raise ValueError(f"not a number: {text.strip()!r}")
    if shown.endswith("-"):
        if shown[0] in "+-":
            raise ValueError(f"not a number: {text.strip()!r}")
        shown = f"-{shown[:-1]}"
    return Decimal(shown)


def count(text: str) -> int | None:
    """A counter (`000001`, blank for 0 inside an existing element); None if it is not a whole number."""
    try:
        value = number(text)
    except ValueError:
        return None
    if value is None:
        return 0
    return int(value) if value == value.to_integral_value() else None


def day(text: str) -> date | None:
    """The date of CCYY-MM-DD, CCYY/MM/DD or CCYYMMDD; None if blank or all zeros. Raises ValueError otherwise."""
    shown = text.strip()
    if not shown or not shown.strip("0-/"):
        return None
    found = _DATE.match(shown) or _COMPACT_DATE.match(shown)
    if not found:
        raise ValueError(f"not a date: {shown!r}")
    return date(int(found[1]), int(found[2]), int(found[3]))


def decimal_of(value: object) -> Decimal:
    """An exact number from what a mapped document may hold. Raises ValueError; a float is never exact."""
    if isinstance(value, Decimal):
        exact = value
    elif isinstance(value, int) and not isinstance(value, bool):
        exact = Decimal(value)
    elif isinstance(value, str):
        read = number(value)
        if read is None:
            raise ValueError("a blank is not a number")
        exact = read
    else:
        raise ValueError(f"a {type(value).__name__} is not an exact number")
    if not exact.is_finite():
        raise ValueError(f"{exact} is not a number")
    return exact


def quantised(value: object, places: int) -> Decimal:
    """The number with exactly `places` decimals, rounded half up. Raises ValueError."""
    try:
        return decimal_of(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP) + Decimal(0)
    except InvalidOperation:
        raise ValueError("the number has too many digits") from None


def day_of(value: object) -> date | None:
    """A date from what a mapped document may hold. Raises ValueError."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        return day(value)
    raise ValueError(f"a {type(value).__name__} is not a date")


def one_line(text: str) -> str:
    """The text without control characters (each a blank) and without blanks at its ends: a column is one line."""
    return _CONTROL.sub(" ", text.replace("\r\n", " ")).strip()


def transliterated(text: str) -> str:
    """The text in characters of Windows-1252: composed, else taken apart, else spelled out, else `?`."""
    text = unicodedata.normalize("NFC", text)
    if _fits(text):
        return text
    return "".join(character if _fits(character) else _nearest(character) for character in text)


def lost(text: str) -> str:
    """The characters of a text that `transliterated` writes as `?`, each once; empty if it carries the whole text."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(dict.fromkeys(each for each in composed if not _fits(each) and _nearest(each) == "?"))


def _nearest(character: str) -> str:
    mapped = character.translate(_LETTERS)
    if mapped != character:
        return mapped
    apart = "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))
    apart = apart.translate(_LETTERS)
    spelled = "".join(_spelled(part) for part in apart)
    if not spelled and unicodedata.combining(character):
        return ""
    return spelled if _fits(spelled) else "?"


def _spelled(letter: str) -> str:
    latin = _ALPHABETS.get(letter.lower())
    if latin is None:
        return letter
    return latin.capitalize() if letter.isupper() else latin


def _fits(text: str) -> bool:
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def fits_character_set(text: str) -> bool:
    """True if the text can be written in Windows-1252 as it is."""
    return _fits(unicodedata.normalize("NFC", text))
