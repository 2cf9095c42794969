"""The operator's configuration: what it says is done, what it cannot mean is refused by name."""

from __future__ import annotations

import re
import tomllib
from ipaddress import ip_network
from pathlib import Path

import pytest

from mls_delivery.config import (
    Address,
    Config,
    ConfigError,
    Federation,
    Log,
    LogFormat,
    LogLevel,
    Policy,
    read_config,
)
from mls_delivery.service import Limits

_LEAST = 'domain = "b.example"\nlisten = "127.0.0.1:8101"\ndatabase = "sqlite:///b.sqlite3"\n'
_OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"


def _read(tmp_path: Path, text: str, **flags: object) -> Config:
    file = tmp_path / "delivery.toml"
    file.write_text(text)
    return read_config(file, flags)


def test_the_least(tmp_path: Path) -> None:
    config = _read(tmp_path, _LEAST)
    assert config == Config("b.example", Address("127.0.0.1", 8101), "sqlite:///b.sqlite3")
    assert (config.limits, config.federation, config.operations) == (Limits(), Federation(), None)


def test_everything(tmp_path: Path) -> None:
    text = f"""{_LEAST}
operations = "[::1]:9101"
allowed_origins = ["https://chat.example", "http://localhost:8000"]
trusted_proxies = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"]
sign_in_url = "https://accounts.example/claims"
[log]
format = "json"
level = "debug"
[limits]
body = 2000
connections = 0
[federation]
policy = "deny"
domains = ["spam.example"]
[federation.peers]
"a.example" = "http://10.0.0.1:8101"
"""
    assert _read(tmp_path, text) == Config(
        domain="b.example",
        listen=Address("127.0.0.1", 8101),
        database="sqlite:///b.sqlite3",
        operations=Address("::1", 9101),
        allowed_origins=("https://chat.example", "http://localhost:8000"),
        trusted_proxies=(ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
        sign_in_url="https://accounts.example/claims",
        log=Log(LogFormat.json, LogLevel.debug),
        limits=Limits(body=2000, connections=0),
        federation=Federation(
            Policy.deny, frozenset({"spam.example"}), {"a.example": "http://10.0.0.1:8101"}
        ),
    )


def test_flags_override_the_file_key_by_key(tmp_path: Path) -> None:
    text = _LEAST + "[limits]\nbody = 2000\nclients = 3\n"
    config = _read(tmp_path, text, listen="10.0.0.1:1", limits={"body": 3000})
    assert config.listen == Address("10.0.0.1", 1)
    assert config.limits == Limits(body=3000, clients=3)


@pytest.mark.parametrize(
    ("addition", "key"),
    [
        ('nonsense = "x"', "nonsense"),
        ("allowed_origins = 7", "allowed_origins"),
        ('allowed_origins = ["*"]', "allowed_origins"),
        ('allowed_origins = ["https://chat.example/"]', "allowed_origins"),
        ('operations = "9101"', "operations"),
        ('operations = "127.0.0.1:99999"', "operations"),
        ("operations = 9101", "operations"),
        ('trusted_proxies = ["proxy"]', "trusted_proxies"),
        ('trusted_proxies = ["10.0.0.1/8"]', "trusted_proxies"),
        ('sign_in_url = "accounts.example"', "sign_in_url"),
        ('sign_in_url = ""', "sign_in_url"),
        ('limits = "many"', "limits"),
        ("[limits]\nbody = -1", "limits.body"),
        ("[limits]\nbody = true", "limits.body"),
        ("[limits]\nbody = 1.5", "limits.body"),
        ('[limits]\nbody = "1 MiB"', "limits.body"),
        ("[limits]\nbodies = 1", "limits.bodies"),
        ('[log]\nformat = "xml"', "log.format"),
        ('[log]\nlevel = ["debug"]', "log.level"),
        ("[log]\ncolour = true", "log.colour"),
        ('[federation]\npolicy = "closed"', "federation.policy"),
        ('[federation]\ndomains = ["a.example"]', "federation.domains"),
        ('[federation]\npolicy = "allow"\ndomains = ["A.example"]', "federation.domains"),
        ('[federation.peers]\n"A.example" = "https://a.example"', "federation.peers"),
        ('[federation.peers]\n"a.example" = "a.example"', "federation.peers.a.example"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(tmp_path: Path, addition: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"delivery\.toml: {re.escape(key)}: "):
        _read(tmp_path, _LEAST + addition)


@pytest.mark.parametrize("key", ["domain", "listen", "database"])
def test_what_must_be_said(tmp_path: Path, key: str) -> None:
    text = "".join(line for line in _LEAST.splitlines(keepends=True) if not line.startswith(key))
    with pytest.raises(ConfigError, match=f"{key}: it is missing"):
        _read(tmp_path, text)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"domain = ", "not TOML"), (b"\xff", "not TOML"), (None, "cannot be read")]
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "delivery.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=reason):
        read_config(file, {})


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    config = _read(tmp_path, _LEAST.replace("sqlite:///b.sqlite3", "postgresql://mls:opensesame@db/mls"))
    assert "opensesame" in config.database
    assert "opensesame" not in repr(config)


@pytest.mark.parametrize(
    ("policy", "domains", "allowed"),
    [(Policy.open, set(), True), (Policy.allow, {"a.example"}, True), (Policy.deny, {"a.example"}, False)],
)
def test_policies(policy: Policy, domains: set[str], allowed: bool) -> None:
    federation = Federation(policy, frozenset(domains))
    assert federation.allows("a.example") is allowed
    assert federation.allows("c.example") is (policy is not Policy.allow)


def test_the_documented_example_says_what_is_usual(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```$", _OPERATING.read_text(), re.DOTALL | re.MULTILINE)
    config = _read(tmp_path, example)
    assert config.limits == Limits()
    assert config.log == Log(LogFormat.json, LogLevel.info)
    # Every key is there, if only in a comment.
    uncommented = re.sub(r"^# (?=[\w\".]+ = )", "", example, flags=re.MULTILINE)
    everything = _read(tmp_path, uncommented)
    assert everything.limits == Limits()
    assert tomllib.loads(uncommented)["limits"]
    assert everything.federation.policy is Policy.allow
    assert everything.federation.peers
    assert everything.sign_in_url
    assert everything.trusted_proxies
