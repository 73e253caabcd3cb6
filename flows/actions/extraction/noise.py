"""What looks like an observable and is none: file names, code, versions, XML namespaces. Pure.

Every rule is a trade; each stands here because the texts of alerts are full of what it refuses, and because what it
refuses by mistake is rare. What is written with a scheme or an `@` is never judged here: it cannot be anything else.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import Final

# Top-level domains that are also file extensions. A name of two labels under one of them is a file.
_FILES: Final = frozenset({"cab", "md", "mov", "pub", "py", "sh", "tf", "zip"})
# Under these only names that files have: there is too much honest business under .pl, .rs, .so and .com.
_FILE_NAMES: Final = frozenset(
    {"build.rs", "command.com", "configure.ac", "configure.in", "lib.rs", "main.rs", "makefile.am", "mod.rs"}
    | {"parse.pl"}
)
_LIBRARY: Final = re.compile(r"lib[\w+-]*\.(?:so|la)", re.IGNORECASE)

# Top-level domains that are also words of code: `user.name`, `rule.id`, `window.open`.
_CODE_TLDS: Final = frozenset(
    {"call", "click", "country", "data", "date", "email", "id", "info", "link", "map", "name", "network", "open"}
    | {"properties", "run", "save", "security", "select", "services", "show", "support", "systems", "target"}
    | {"watch", "works"}
)
_CODE_WORDS: Final = frozenset(
    {"actor", "agent", "app", "args", "array", "attributes", "branch", "client", "config", "console", "ctx"}
    | {"data", "destination", "device", "document", "e", "el", "element", "ev", "event", "evt", "file", "fn"}
    | {"group", "host", "item", "js", "log", "logger", "logging", "manager", "math", "message", "module", "node"}
    | {"obj", "object", "os", "parent", "process", "req", "request", "res", "response", "result", "rule", "self"}
    | {"server", "service", "session", "settings", "source", "sys", "system", "task", "this", "thread", "user"}
    | {"val", "value", "window"}
)
_CODE_STYLE: Final = re.compile(r"[a-z][A-Z]|\w_")
_PRODUCTS: Final = frozenset({"ado.net", "asp.net", "socket.io", "system.io", "system.net", "vb.net"})
# The first labels of packages in Java and of bundles: `com.example.app`.
_BACKWARDS: Final = frozenset({"com", "edu", "gov", "java", "javax", "net", "org"})

_NAMESPACES: Final = frozenset(
    {"ns.adobe.com", "purl.org", "schemas.microsoft.com", "schemas.openxmlformats.org", "schemas.xmlsoap.org"}
    | {"www.w3.org"}
)

_VERSION_BEFORE: Final = re.compile(
    r"(?:\b(?:version|ver|release|rev|revision|build|firmware|fw|oid|section)\b\.?[\s:=\"']{0,3}|[a-z]-|\bv)$",
    re.IGNORECASE,
)
_PRODUCT_BEFORE: Final = re.compile(r"[a-z]/$", re.IGNORECASE)
_HEADER_BEFORE: Final = re.compile(r"(?:CEF:\d|LEEF:[12]\.\d)(?:\|[^|\n]{0,80}){2}\|$")
_LOOK_BACK: Final = 200
_PREFIX_AFTER: Final = re.compile(r"/(\d{1,2})(?![\d.])")


def is_no_domain(token: str, before: str, after: str) -> bool:
    """Tell whether a bare name is something else.

    Args:
        token: The name as it stands in the text.
        before: The two characters before it.
        after: The character after it.
    """
    low = token.lower()
    labels = low.split(".")
    tld = token.rpartition(".")[2]
    if not tld.islower() and not token.isupper() and tld.isascii():
        return True  # the end of a sentence without a blank after it, or a class: `isolated.It`, `System.IO`
    if after == "(" or (before.endswith("\\") and before != "\\\\"):
        return True  # a function; a part of a path
    if labels[-1] in _CODE_TLDS and (labels[0] in _CODE_WORDS or _CODE_STYLE.search(token)):
        return True
    if labels[0] in _BACKWARDS and len(labels) > 2 and len(labels[-1]) > 2:  # noqa: PLR2004
        return True
    if len(labels) > 2:  # noqa: PLR2004
        return False
    return (
        labels[1] in _FILES
        or low in _FILE_NAMES
        or low in _PRODUCTS
        or bool(_LIBRARY.fullmatch(low))
        or (labels[1] in _CODE_TLDS and len(labels[0]) == 1)
    )


def is_no_address(value: str, text: str, start: int, end: int) -> bool:
    """Tell whether four numbers with dots are a version, an object identifier or a network.

    Args:
        value: The numbers.
        text: Where they stand.
        start: Their place in the text.
        end: Where they end.
    """
    before = text[max(0, start - 24) : start]
    if _VERSION_BEFORE.search(before) or (value.endswith(".0.0.0") and _PRODUCT_BEFORE.search(before)):
        return True  # `Chrome/120.0.0.0`
    if before.endswith("|") and _HEADER_BEFORE.search(text, max(0, start - _LOOK_BACK), start):
        return True
    if prefix := _PREFIX_AFTER.match(text, end):
        return _is_network(f"{value}/{prefix[1]}")
    # A netmask.
    return value.startswith("255.")


def is_no_hash(value: str) -> bool:
    """Tell whether hexadecimal digits of the right number are a number, or padding."""
    return value.isdigit() or value.isalpha() or len(set(value)) < 6  # noqa: PLR2004


def is_namespace(host: str) -> bool:
    """Tell whether a URL of this host names a kind of XML and leads nowhere."""
    return host in _NAMESPACES


def _is_network(text: str) -> bool:
    try:
        return IPv4Network(text).prefixlen < 32  # noqa: PLR2004
    except (AddressValueError, NetmaskValueError, ValueError):
        return False  # there are host bits: `10.1.1.5/22` is an address and a port
