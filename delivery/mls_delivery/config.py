"""What the operator decides: a TOML file and flags (docs/operating.md), read into one value.

Nothing is guessed: a key that is not known, or a value that makes no sense, is an error that names the key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mls_federation.federation.binding import is_domain

from .service import Limits

Network = IPv4Network | IPv6Network
T = TypeVar("T")
D = TypeVar("D")
E = TypeVar("E", bound=Enum)


class ConfigError(Exception):
    """The configuration cannot be used; the message names the key and says why, for the operator."""


class Policy(Enum):
    """Which other domains' services may speak to this one, and be spoken to."""

    open = "open"
    """All."""
    allow = "allow"
    """Those that are named."""
    deny = "deny"
    """All but those that are named."""


@dataclass(frozen=True)
class Federation:
    """How the service deals with those of other domains.

    Attributes:
        domains: whom the policy names.
        peers: addresses of services that are not to be found at `https://DOMAIN`, by domain.
    """

    policy: Policy = Policy.open
    domains: frozenset[str] = frozenset()
    peers: Mapping[str, str] = field(default_factory=dict)

    def allows(self, domain: str) -> bool:
        """Whether the policy lets this domain take part."""
        if self.policy is Policy.allow:
            return domain in self.domains
        return self.policy is Policy.open or domain not in self.domains


class LogFormat(Enum):
    """How a log line looks."""

    text = "text"
    json = "json"


class LogLevel(Enum):
    """From which weight on events are logged; at `debug`, each request is one."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


@dataclass(frozen=True)
class Log:
    """What the service says of itself, on its standard error output."""

    format: LogFormat = LogFormat.text
    level: LogLevel = LogLevel.info


@dataclass(frozen=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Config:
    """Everything.

    Attributes:
        domain: whose identities the service serves.
        listen: where clients and other services reach it, or a reverse proxy does.
        database: URL. It may hold a password.
        operations: where its health and metrics are to be had.
        allowed_origins: of web pages that may use it.
        trusted_proxies: whose word on where a request comes from is taken.
        sign_in_url: who is asked whether somebody may have an identity; without it, whoever asks first gets it.
    """

    domain: str
    listen: Address
    database: str = field(repr=False)
    operations: Address | None = None
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    sign_in_url: str | None = None
    log: Log = field(default_factory=Log)
    limits: Limits = field(default_factory=Limits)
    federation: Federation = field(default_factory=Federation)


def read_config(file: Path | None, flags: Mapping[str, Any]) -> Config:
    """The configuration of a file, with what flags say instead.

    Args:
        flags: further keys with their values, as they would be in the file.

    Raises:
        ConfigError: a key is not known, a value makes no sense, or one is missing.
    """
    document = {} if file is None else _document(file)
    try:
        return _config(_Table(_merged(document, flags), ""))
    except ConfigError as fault:
        raise fault if file is None else ConfigError(f"{file}: {fault}") from None


def _document(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ConfigError(f"{file} cannot be read: {fault.strerror}") from fault
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise ConfigError(f"{file} is not TOML: {fault}") from None


def _merged(document: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(document)
    for key, value in flags.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _config(table: _Table) -> Config:
    config = Config(
        domain=table.required("domain", _domain),
        listen=table.required("listen", _address),
        database=table.required("database", _text),
        operations=table.optional("operations", _address, None),
        allowed_origins=table.optional("allowed_origins", _all(_origin), ()),
        trusted_proxies=table.optional("trusted_proxies", _all(_network), ()),
        sign_in_url=table.optional("sign_in_url", _url, None),
        log=table.below("log", _log),
        limits=table.below("limits", _limits),
        federation=table.below("federation", _federation),
    )
    table.end()
    return config


def _log(table: _Table) -> Log:
    return Log(
        format=table.optional("format", _one_of(LogFormat), Log.format),
        level=table.optional("level", _one_of(LogLevel), Log.level),
    )


def _limits(table: _Table) -> Limits:
    usual = asdict(Limits())
    return Limits(**{name: table.optional(name, _number, usual[name]) for name in usual})


def _federation(table: _Table) -> Federation:
    policy = table.optional("policy", _one_of(Policy), Policy.open)
    domains = table.optional("domains", _all(_domain), ())
    if domains and policy is Policy.open:
        raise ConfigError('federation.domains: it means something only with the policy "allow" or "deny"')
    return Federation(policy, frozenset(domains), table.below("peers", _peers))


def _peers(table: _Table) -> dict[str, str]:
    for domain in table.keys:
        if not is_domain(domain):
            raise ConfigError(f"federation.peers: {domain!r} is not a domain name in lower case")
    return {domain: table.required(domain, _origin) for domain in table.keys}


class _Table:
    """A table of the document, and what was asked of it."""

    def __init__(self, values: Mapping[str, Any], name: str) -> None:
        self._values = values
        self._prefix = f"{name}." if name else ""
        self._asked: set[str] = set()

    @property
    def keys(self) -> list[str]:
        """All that it has."""
        return list(self._values)

    def required(self, key: str, read: Callable[[Any], T]) -> T:
        """A value that must be there."""
        if key not in self._values:
            raise ConfigError(f"{self._prefix}{key}: it is missing")
        return self._read(key, read)

    def optional(self, key: str, read: Callable[[Any], T], default: D) -> T | D:
        """A value that need not be there."""
        self._asked.add(key)
        return self._read(key, read) if key in self._values else default

    def below(self, key: str, read: Callable[[_Table], T]) -> T:
        """What a table inside this one says."""
        self._asked.add(key)
        values = self._values.get(key, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{self._prefix}{key}: it must be a table")
        table = _Table(values, self._prefix + key)
        found = read(table)
        table.end()
        return found

    def end(self) -> None:
        """Everything has been asked for; what is left is a mistake."""
        for key in self._values:
            if key not in self._asked:
                raise ConfigError(f"{self._prefix}{key}: there is no such key")

    def _read(self, key: str, read: Callable[[Any], T]) -> T:
        self._asked.add(key)
        try:
            return read(self._values[key])
        except ConfigError as fault:
            raise ConfigError(f"{self._prefix}{key}: {fault}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError("it must be a text")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise ConfigError("it must be a whole number, 0 or more")
    return value


def _all(read: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    def each(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list | tuple):
            raise ConfigError("it must be a list")
        return tuple(read(item) for item in value)

    return each


def _one_of(kind: type[E]) -> Callable[[Any], E]:
    def read(value: Any) -> E:
        for member in kind:
            if member.value == value:
                return member
        raise ConfigError("it must be " + " or ".join(f'"{member.value}"' for member in kind))

    return read


def _domain(value: Any) -> str:
    if not is_domain(_text(value)):
        raise ConfigError(f"{value!r} is not a domain name in lower case")
    return str(value)


def _address(value: Any) -> Address:
    host, _, port = _text(value).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ConfigError(f"{value!r} is no address; one looks like 127.0.0.1:8101 or [::1]:8101")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def _origin(value: Any) -> str:
    parts = urlsplit(_text(value))
    origin = f"{parts.scheme}://{parts.netloc}"
    if parts.scheme not in ("http", "https") or not parts.netloc or value != origin:
        raise ConfigError(f"{value!r} is no origin; one looks like https://chat.example")
    return origin


def _url(value: Any) -> str:
    parts = urlsplit(_text(value))
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.fragment:
        raise ConfigError(f"{value!r} is no http: or https: URL")
    return str(value)


def _network(value: Any) -> Network:
    try:
        return ip_network(_text(value))
    except ValueError:
        raise ConfigError(f"{value!r} is no IP address or network; one looks like 10.0.0.0/8") from None
