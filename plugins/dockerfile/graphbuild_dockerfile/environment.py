"""Variables that nobody has to declare a value for: platforms, and proxies."""

from collections.abc import Mapping

PROXIES = (
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
)
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
    """The proxies among build arguments, sorted: every RUN sees them, and no key holds them."""
    return tuple(sorted((name, value) for name, value in arguments.items() if name in PROXIES))
