"""SYSPRO's XML as nested dicts: safe building and parsing, decoding of bodies, look-ups that ignore case.

A document is `{root: content}`: an element with children is a dict, a leaf is its stripped text, a repeated element is
a list, an attribute is a key that begins with `@`, the text of an element with attributes is under `#text`.
Facts: syspro-transport.md sections 2.3 (bodies) and 6 (documents).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape, quoteattr

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from syncengine.document import Doc

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*(:[A-Za-z_][A-Za-z0-9_.-]*)?\Z")
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_DECLARED = re.compile(rb"\A[\s\"]*<\?xml[^>]*encoding\s*=\s*\\?[\"']([A-Za-z0-9_-]+)")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
TEXT = "#text"


class MalformedXml(ValueError):
    """A text that should be an XML document and is not one."""


def build(document: Mapping[str, Any]) -> str:
    """The document as XML on one line, without declaration; values must be texts (numbers are formatted before)."""
    if len(document) != 1:
        raise ValueError(f"a document has one root, not {sorted(document)}")
    parts: list[str] = []
    for name, value in document.items():
        _append(parts, name, value)
    return "".join(parts)


def _append(parts: list[str], name: str, value: Any) -> None:
    if not _NAME.match(name):
        raise ValueError(f"not an element name: {name!r}")
    if isinstance(value, list):
        for item in value:
            _append(parts, name, item)
    elif isinstance(value, Mapping):
        _append_nested(parts, name, value)
    elif value is None or value == "":
        parts.append(f"<{name}/>")
    elif isinstance(value, str):
        parts.append(f"<{name}>{escape(_FORBIDDEN.sub(' ', value))}</{name}>")
    else:
        raise TypeError(f"element {name} holds a {type(value).__name__}; documents hold texts")


def _append_nested(parts: list[str], name: str, value: Mapping[str, Any]) -> None:
    attributes = "".join(f" {key[1:]}={quoteattr(str(item))}" for key, item in value.items() if key.startswith("@"))
    children = {key: item for key, item in value.items() if not key.startswith(("@", "#"))}
    text = value.get(TEXT, "")
    if not children and not text:
        parts.append(f"<{name}{attributes}/>")
        return
    parts.append(f"<{name}{attributes}>{escape(_FORBIDDEN.sub(' ', text))}")
    for key, item in children.items():
        _append(parts, key, item)
    parts.append(f"</{name}>")


def parse(text: str) -> Doc:
    """The document of a decoded XML text. The declared encoding is ignored, entities and DTDs are refused.

    Raises:
        MalformedXml: not well formed, or it uses what no SYSPRO document uses (a DTD, entities).
    """
    body = _DECLARATION.sub("", _FORBIDDEN.sub("", text.lstrip("\ufeff"))).strip()
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException) as error:
        raise MalformedXml(f"not a well-formed XML document: {error}") from None
    return {_name(root.tag): _content(root)}


def _name(tag: str) -> str:
    """`{SALSLS}Name` is what SYSPRO writes as `SALSLS:Name`; namespaces that are addresses are dropped."""
    if not tag.startswith("{"):
        return tag
    space, _, name = tag[1:].partition("}")
    return name if "/" in space else f"{space}:{name}"


def _content(element: Element) -> Any:
    text = (element.text or "").strip()
    content: Doc = {f"@{_name(key)}": value for key, value in element.attrib.items()}
    if not len(element):
        if not content:
            return text
        return {**content, TEXT: text} if text else content
    for child in element:
        name, value = _name(child.tag), _content(child)
        if name not in content:
            content[name] = value
        elif isinstance(content[name], list):
            content[name].append(value)
        else:
            content[name] = [content[name], value]
    return content


def decode(body: bytes) -> str:
    """The text of a reply: byte order marks, then the declaration, else UTF-8 where it fits and Windows-1252 where not.

    A body that is one JSON string (a SYSPRO 8 variant) is unpacked. Leading and trailing blanks go.
    """
    text = _characters(body).lstrip("\ufeff").strip()
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        try:
            unpacked = json.loads(text, strict=False)
        except ValueError:
            return text.strip('"').strip()
        return str(unpacked).lstrip("\ufeff").strip()
    return text


def _characters(body: bytes) -> str:
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16", "replace")
    if body.startswith(b"\xef\xbb\xbf"):
        return body.decode("utf-8-sig", "replace")
    if body[1:2] == b"\x00" or body[:1] == b"\x00":
        return body.decode("utf-16-le" if body[1:2] == b"\x00" else "utf-16-be", "replace")
    declared = _DECLARED.match(body)
    says_1252 = declared is not None and declared[1].lower() in (b"windows-1252", b"cp1252", b"iso-8859-1")
    for encoding in ("cp1252", "utf-8") if says_1252 else ("utf-8", "cp1252"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    return body.decode("latin-1")


def get(content: Any, *path: str) -> Any:
    """What is under the names of `path`, whatever their case; the first of a repeated element; None if absent."""
    for name in path:
        if isinstance(content, list):
            content = content[0] if content else None
        if not isinstance(content, Mapping):
            return None
        content = _ignoring_case(content, name)
    return content


def _ignoring_case(content: Mapping[str, Any], name: str) -> Any:
    if name in content:
        return content[name]
    wanted = name.lower()
    return next((value for key, value in content.items() if key.lower() == wanted), None)


def text_of(content: Any, *path: str) -> str:
    """The text under `path`, `""` if absent or empty."""
    value = get(content, *path)
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, Mapping):
        value = value.get(TEXT)
    return value.strip() if isinstance(value, str) else ""


def all_of(content: Any, *path: str) -> list[Any]:
    """Everything under the last name of `path`: a list, whether the element occurs never, once or often."""
    value = get(content, *path)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def content_of(document: Mapping[str, Any]) -> Any:
    """What is under the root."""
    return next(iter(document.values()), None)


def walk(
    content: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any], tuple[Any, ...]]]:
    """Every element with children, in document order: its path of names, itself, what encloses it (outermost first)."""
    yield from _walk(content, path, ())


def _walk(
    content: Any, path: tuple[str, ...], around: tuple[Any, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any], tuple[Any, ...]]]:
    if isinstance(content, list):
        for item in content:
            yield from _walk(item, path, around)
    elif isinstance(content, Mapping):
        yield path, content, around
        for name, value in content.items():
            yield from _walk(value, (*path, name), (*around, content))
