"""Labels: the parsed names of targets. `//web:compiled`, or `//:site` in the root package."""

import re

import msgspec

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_PACKAGE = re.compile(r"[^:\[\]\\\x00-\x1f]*")
_MATRIX = re.compile(r"[A-Za-z0-9_.+-]+=[^,\[\]=]*(,[A-Za-z0-9_.+-]+=[^,\[\]=]*)*")

PLATFORM = "platform"  # of a variant: what the target is built for, where that needs to be said


class Label(msgspec.Struct, frozen=True, order=True, gc=False):
    """`package` is a folder relative to the workspace ("" is the root), `variant` a matrix cell (`py=3.11,os=a`) or ""."""

    package: str
    name: str
    variant: str = ""

    def __str__(self) -> str:
        suffix = f"[{self.variant}]" if self.variant else ""
        return f"//{self.package}:{self.name}{suffix}"


def without_platform(label: Label) -> Label:
    """The label as it is written for any platform."""
    if PLATFORM not in label.variant:
        return label
    pairs = [pair for pair in label.variant.split(",") if not pair.startswith(f"{PLATFORM}=")]
    return Label(label.package, label.name, ",".join(pairs))


def parse_label(text: str, package: str) -> Label:
    """Parse an absolute label, or one relative to `package` (`:name` or `name`).

    `//web` means `//web:web`, as Bazel has it. ValueError says what is wrong.
    """
    body, variant = text, ""
    if body.endswith("]") and "[" in body:
        body, _, variant = body[:-1].partition("[")
        if not _MATRIX.fullmatch(variant):
            raise ValueError(f"{text!r}: expected [key=value,…] at the end of a label")
        variant = ",".join(sorted(variant.split(",")))
    if body.startswith("//"):
        package, colon, name = body[2:].partition(":")
        if not colon:
            name = package.rpartition("/")[2]
        if not _PACKAGE.fullmatch(package) or any(part in ("", ".", "..") for part in package.split("/") if package):
            raise ValueError(f"{text!r}: {package!r} is not a package, a folder relative to the workspace")
    else:
        name = body.removeprefix(":")
    if not NAME.fullmatch(name):
        raise ValueError(f"{text!r} is not a label: expected //package:name, :name or name")
    return Label(package, name, variant)


def is_within(package: str, pattern: str) -> bool:
    """Whether a package is the one that a pattern names, or of the tree that it names: `svc/web`, `svc/...`, `...`."""
    if not pattern.endswith("..."):
        return package == pattern
    tree = pattern[:-3].rstrip("/")
    return not tree or package == tree or package.startswith(f"{tree}/")
