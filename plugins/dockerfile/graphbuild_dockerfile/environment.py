"""Variables that nobody has to declare a value for: platforms, and proxies."""

from collections.abc import Mapping

from graphbuild_dockerfile.program import Program

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def predefined(program: Program, build: str, target: str = "", stage: str = "") -> dict[str, str]:
    """BUILDPLATFORM and TARGETPLATFORM with their parts, of os/arch[/variant] texts, and TARGETSTAGE. By default a build is for where it
    is done, and of the last stage.
    """
    found: dict[str, str] = {}
    for prefix, platform in (("BUILD", build), ("TARGET", target or build)):
        system, _, rest = platform.partition("/")
        architecture, _, variant = rest.partition("/")
        found |= {f"{prefix}PLATFORM": platform, f"{prefix}OS": system, f"{prefix}ARCH": architecture, f"{prefix}VARIANT": variant}
    return {**found, "TARGETSTAGE": stage or program.stages[-1].name or "default"}


def proxies(arguments: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The proxies among build arguments, in both spellings, sorted: every RUN sees them, and no key holds them."""
    found: dict[str, str] = {}
    for name in PROXIES:
        value = arguments.get(name, arguments.get(name.lower()))
        if value is not None:
            found |= {name: value, name.lower(): value}
    return tuple(sorted(found.items()))
