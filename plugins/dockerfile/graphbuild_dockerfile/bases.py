"""What FROM is given: the name of an image, and a platform. Whether a text is one, by the rules of Docker's libraries."""

import re

_ALNUM = "[a-z0-9]+"
_COMPONENT = f"{_ALNUM}(?:(?:[._]|__|-+){_ALNUM})*"
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})")
_IDENTIFIER = re.compile("[a-f0-9]{64}")
_LONGEST_PATH = 255

_SYSTEMS = frozenset(
    [
        "aix",
        "android",
        "darwin",
        "dragonfly",
        "freebsd",
        "hurd",
        "illumos",
        "ios",
        "js",
        "linux",
        "nacl",
        "netbsd",
        "openbsd",
        "plan9",
        "solaris",
        "windows",
        "zos",
        "wasip1",
    ]
)
_ARCHITECTURES = frozenset(
    [
        "386",
        "amd64",
        "amd64p32",
        "arm",
        "armbe",
        "arm64",
        "arm64be",
        "ppc64",
        "ppc64le",
        "loong64",
        "mips",
        "mipsle",
        "mips64",
        "mips64le",
        "mips64p32",
        "mips64p32le",
        "ppc",
        "riscv",
        "riscv64",
        "s390",
        "s390x",
        "sparc",
        "sparc64",
        "wasm",
    ]
)
_ALIASES = {"i386": "386", "x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "armel": "arm"}


def is_image_name(text: str) -> bool:
    """Whether an image can be called so: [domain/]path[:tag][@digest], where the path is lower case."""
    name, at, digest = text.partition("@")
    if (at and not _DIGEST.fullmatch(digest)) or _IDENTIFIER.fullmatch(text):
        return False
    first, slash, rest = name.partition("/")
    domain = ""
    if slash and (any(char in first for char in ".:") or first == "localhost" or first != first.lower()):
        domain, name = first, rest
    path, colon, tag = name.partition(":")
    if (domain and not _DOMAIN.fullmatch(domain)) or (colon and not _TAG.fullmatch(tag)):
        return False
    return _PATH.fullmatch(path) is not None and len(path) <= _LONGEST_PATH


def parse_platform(text: str) -> tuple[str, str] | None:
    """The system and architecture of os, arch, os/arch or os/arch/variant; None for what is none of these."""
    parts = text.lower().split("/")
    if len(parts) > 3 or not all(re.fullmatch(r"[a-z0-9_.-]+(?:\([a-z0-9_.-]*\))?", part) for part in parts):
        return None
    first = parts[0].partition("(")[0]
    system = "darwin" if first == "macos" else first
    if len(parts) > 1:
        return system, _ALIASES.get(parts[1], parts[1])
    if system in _SYSTEMS:
        return system, ""
    architecture = _ALIASES.get(first, first)
    return ("linux", architecture) if architecture in _ARCHITECTURES else None
