"""Variables that nobody has to declare a value for: platforms, and proxies."""

from collections.abc import Mapping

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def platform_arguments(build: str, target: str, stage: str) -> dict[str, str]:
    """BUILDPLATFORM and TARGETPLATFORM with their parts, of os/arch[/variant] texts; `stage` is the name of what is built."""
    found: dict[str, str] = {}
    for prefix, platform in (("BUILD", build), ("TARGET", target)):
        system, _, rest = platform.partition("/")
        architecture, _, variant = rest.partition("/")
        found |= {f"{prefix}PLATFORM": platform, f"{prefix}OS": system, f"{prefix}ARCH": architecture, f"{prefix}VARIANT": variant}
    return {**found, "TARGETSTAGE": stage}


def proxies(arguments: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The proxies among build arguments, in both spellings, sorted: every RUN sees them, and no key holds them."""
    found: dict[str, str] = {}
    for name in PROXIES:
        value = arguments.get(name, arguments.get(name.lower()))
        if value is not None:
            found |= {name: value, name.lower(): value}
    return tuple(sorted(found.items()))
