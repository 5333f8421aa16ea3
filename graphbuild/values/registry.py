"""What a workspace says of a registry. Plain values: who talks to registries makes of them what they mean."""

import msgspec


class RegistrySettings(msgspec.Struct, frozen=True):
    """`mirrors`: host[:port][/prefix] to pull from first, in order. `ca`: a file of further CAs, in PEM. `insecure`: plain http."""

    mirrors: tuple[str, ...] = ()
    ca: str = ""
    insecure: bool = False
