"""How a registry learns who asks: basic authentication, and bearer tokens of a token server (Docker's token authentication, OAuth 2).

Invariants: credentials go to the registry that they are for and to the token server that this registry names, never along a redirect to
anybody else, and never without TLS where the registry itself is asked over TLS; tokens go to the registry they are for alone. Nobody
is told who one is before he asks. Nothing of it is in a message.
"""

import email.message
import http.client
import re
import threading
import time
import urllib.parse
from collections.abc import Mapping

import msgspec

from graphbuild.network.connections import basic, origin
from graphbuild.network.http import Refused
from graphbuild.network.registry.credentials import Credentials, Keyring
from graphbuild.network.registry.requests import Requests, refusal
from graphbuild.network.seam import failure
from graphbuild.values.errors import GraphbuildError

_CHALLENGE = re.compile(r'(?:^|,)\s*(Basic|Bearer)\b((?:\s*,?\s*[A-Za-z_-]+=(?:"[^"]*"|[^",\s]+))*)', re.IGNORECASE)
_PARAMETER = re.compile(r'([A-Za-z_-]+)=(?:"([^"]*)"|([^",\s]+))')
_LARGEST = 1 << 20  # bytes of a token server's answer
_SHORTEST = 60  # seconds that a token is good for at least, where nothing is said (Docker's rule)
_EARLY = 5  # seconds before its end from which on a token is not used
_TRIES = 3  # challenges that one request answers
_TOKEN = re.compile(r"[!-~]+")


class Challenge(msgspec.Struct, frozen=True):
    """What a registry asks for. `realm`, `service`: of a token server; "" for basic authentication."""

    realm: str = ""
    service: str = ""


class _Token(msgspec.Struct, frozen=True):
    text: str
    until: float  # time.monotonic()


class _Granted(msgspec.Struct, frozen=True):
    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None


class Endpoint(msgspec.Struct, frozen=True):
    """A registry's API: its base URL, and the host by which people and their credentials know it."""

    base: str
    host: str


class Authenticator:
    """Challenges and tokens of all registries, shared by all requests of a process."""

    def __init__(self, requests: Requests, keyring: Keyring) -> None:
        self._requests = requests
        self._keyring = keyring
        self._challenges: dict[str, Challenge] = {}
        self._tokens: dict[tuple[str, tuple[str, ...]], _Token] = {}
        self._lock = threading.Lock()

    def caller(self, endpoint: Endpoint, path: str, scopes: tuple[str, ...]) -> "RegistryCaller":
        """Who asks for something of a repository. `scopes` as tokens name them: repository:library/alpine:pull."""
        return RegistryCaller(self, endpoint, path, scopes)

    def header(self, endpoint: Endpoint, path: str, scopes: tuple[str, ...]) -> dict[str, str]:
        """What to send with a request, as far as the registry ever asked for something."""
        with self._lock:
            challenge = self._challenges.get(endpoint.base)
            if challenge is None:
                return {}
            credentials = self._keyring.find(endpoint.host, path)
            if not challenge.realm:
                return basic(credentials.user, credentials.password) if credentials and credentials.user else {}
            known = self._tokens.get((endpoint.base, scopes))
            if known is None or known.until < time.monotonic():
                known = self._tokens[endpoint.base, scopes] = self._token(challenge, endpoint, scopes, credentials)
            return {"Authorization": f"Bearer {known.text}"}

    def learn(self, endpoint: Endpoint, challenge: Challenge, scopes: tuple[str, ...], refused: Mapping[str, str]) -> None:
        """The registry asked; `refused` is what had been sent, which a token of this kind is not to be used for again."""
        with self._lock:
            self._challenges[endpoint.base] = challenge
            known = self._tokens.get((endpoint.base, scopes))
            if known is not None and refused.get("Authorization") == f"Bearer {known.text}":
                del self._tokens[endpoint.base, scopes]

    def _token(self, challenge: Challenge, endpoint: Endpoint, scopes: tuple[str, ...], credentials: Credentials | None) -> _Token:
        realm = challenge.realm
        if not realm.startswith(("https://", "http://")):
            raise failure(endpoint.base, "names a token server that is no URL", hint="the registry is broken")
        if endpoint.base.startswith("https:") and not realm.startswith("https:"):
            raise failure(
                endpoint.base, "names a token server that is asked without TLS", hint="that would show your password to the network"
            )
        caller = _TokenCaller(realm, endpoint, credentials)
        if credentials and credentials.identity:
            form = {"grant_type": "refresh_token", "service": challenge.service, "client_id": "graphbuild", "scope": " ".join(scopes)}
            body = urllib.parse.urlencode({**form, "refresh_token": credentials.identity}).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._requests.insist("POST", realm, caller, (200,), headers=headers, body=body, limit=_LARGEST)
        else:
            query = [*([("service", challenge.service)] if challenge.service else []), *(("scope", scope) for scope in scopes)]
            joint = "&" if urllib.parse.urlsplit(realm).query else "?"
            answer = self._requests.insist("GET", f"{realm}{joint}{urllib.parse.urlencode(query)}", caller, (200,), limit=_LARGEST)
        return _granted(answer.data, realm)


class RegistryCaller:
    """Who asks a registry (`network.http.Caller`)."""

    def __init__(self, authenticator: Authenticator, endpoint: Endpoint, path: str, scopes: tuple[str, ...]) -> None:
        self._authenticator = authenticator
        self._endpoint = endpoint
        self._path = path
        self._scopes = scopes
        self._sent: Mapping[str, str] = {}
        self._tries = 0

    def headers(self, url: str) -> Mapping[str, str]:
        """Nothing, for a server to which a redirect leads."""
        if not self._at_home(url):
            return {}
        self._sent = self._authenticator.header(self._endpoint, self._path, self._scopes)
        return self._sent

    def challenged(self, url: str, headers: email.message.Message) -> bool:
        challenge = parse_challenge(headers.get_all("WWW-Authenticate") or []) if self._at_home(url) else None
        if challenge is None or self._tries >= _TRIES:
            return False
        self._tries += 1
        self._authenticator.learn(self._endpoint, challenge, self._scopes, self._sent)
        return self._authenticator.header(self._endpoint, self._path, self._scopes) != self._sent

    def refusal(self, url: str, response: http.client.HTTPResponse) -> Refused:
        host = self._endpoint.host
        hint = {401: f"log in: docker login {host}", 403: f"log in as who may: docker login {host}"}.get(response.status, "")
        return refusal(url, response, hint if self._at_home(url) else "")

    def _at_home(self, url: str) -> bool:
        return origin(url) == origin(self._endpoint.base)


class _TokenCaller:
    """Who asks a token server: the password goes to it, and to nobody to whom it redirects."""

    def __init__(self, realm: str, endpoint: Endpoint, credentials: Credentials | None) -> None:
        self._realm = realm
        self._endpoint = endpoint
        self._credentials = credentials

    def headers(self, url: str) -> Mapping[str, str]:
        known = self._credentials
        return basic(known.user, known.password) if known and known.user and origin(url) == origin(self._realm) else {}

    def challenged(self, url: str, headers: email.message.Message) -> bool:
        del url, headers
        return False

    def refusal(self, url: str, response: http.client.HTTPResponse) -> Refused:
        host = self._endpoint.host
        return refusal(url.partition("?")[0], response, f"the token server of {host} says so; log in anew: docker login {host}")


def parse_challenge(headers: list[str]) -> Challenge | None:
    """The best of what a registry offers: a bearer token, else basic authentication; None where it offers neither."""
    found = [(match[1].lower(), dict(_parameters(match[2]))) for header in headers for match in _CHALLENGE.finditer(header[:8192])]
    for scheme, values in found:
        if scheme == "bearer" and values.get("realm"):
            return Challenge(values["realm"], values.get("service", ""))
    return Challenge() if any(scheme == "basic" for scheme, _ in found) else None


def _parameters(text: str) -> list[tuple[str, str]]:
    return [(match[1].lower(), match[2] or match[3] or "") for match in _PARAMETER.finditer(text)]


def _granted(data: bytes, realm: str) -> _Token:
    try:
        granted = msgspec.json.decode(data, type=_Granted)
    except msgspec.DecodeError:
        raise _no_token(realm) from None
    text = granted.token or granted.access_token or ""
    if not _TOKEN.fullmatch(text):
        raise _no_token(realm)
    return _Token(text, time.monotonic() + max(granted.expires_in or 0, _SHORTEST) - _EARLY)


def _no_token(realm: str) -> GraphbuildError:
    return failure(realm, "the token server's answer holds no token")


def scope(path: str, *actions: str) -> str:
    return f"repository:{path}:{','.join(actions)}"
