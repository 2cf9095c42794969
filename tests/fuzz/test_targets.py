"""The fuzzer's targets, each with a few inputs in every run of the tests; `fuzz/README.md` says how they run for longer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.mutation import Pool, made, mutated, mutated_octets
from fuzz.octets import Octets
from fuzz.run import main
from fuzz.scenes import Scene, scenes
from fuzz.target import MAX_SECONDS, Finding, Target, check_unchanged, refused, run_within_bounds
from fuzz.targets import TARGETS
from fuzz.targets.messages import deliver
from mls_federation.codec import Struct
from mls_federation.errors import RemoteError, StateError, ValidationError
from mls_federation.mls import commit, encode_group, receiving
from tests.support.pair import NOW
from tests.support.strategies import all_structs, implicit_fields, name_of

# Each example of `history` is a group's life.
few = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
many = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
_SLOW = {"history"}


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Seeds, changed seeds, and octets that nobody thought of."""
    seeds = st.sampled_from(list(target.seeds()))
    changed = st.builds(
        lambda seed, how: mutated_octets(Octets(how), seed), seeds, st.binary(min_size=4, max_size=24)
    )
    return seeds | changed | changed | st.binary(max_size=120)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_is_a_finding(name: str) -> None:
    target = TARGETS[name]

    @(few if name in _SLOW else many)
    @given(data=inputs(target))
    def run(data: bytes) -> None:
        run_within_bounds(target, data)

    run()


def test_a_finding_can_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harmless = tmp_path / "harmless"
    harmless.write_bytes(next(iter(TARGETS["welcome"].seeds())))
    assert main(["--target", "welcome", "--replay", str(harmless)]) == 0
    assert capsys.readouterr().out == "no finding\n"


def test_an_error_that_is_not_ours_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise KeyError("no such thing")

    monkeypatch.setattr(receiving, "check_commit", faulty)
    scene = scenes()[0]
    message = commit(scene.attacker, now=NOW).message
    with pytest.raises(KeyError):
        deliver(scene, message, safe=True)


def test_only_errors_for_remote_faults_are_refusals() -> None:
    def fail(error: Exception) -> None:
        raise error

    assert isinstance(refused(fail, ValidationError("no")), RemoteError)
    for error in (StateError("no"), KeyError("no")):
        with pytest.raises(type(error)):
            refused(fail, error)


def test_a_changed_state_is_a_finding() -> None:
    one, other = scenes()[0].victim(safe=True), scenes()[1].victim(safe=True)
    check_unchanged(one, encode_group(one))
    with pytest.raises(Finding):
        check_unchanged(one, encode_group(other))


def test_what_takes_too_long_is_a_finding() -> None:
    def count(data: bytes) -> None:
        end = time.process_time() + MAX_SECONDS + 0.2
        while time.process_time() < end:
            pass

    with pytest.raises(Finding, match="took"):
        run_within_bounds(Target("slow", "", count, list), b"")


@pytest.mark.parametrize("struct", all_structs(), ids=name_of)
@settings(max_examples=5)
@given(how=st.binary(min_size=20, max_size=80))
def test_any_struct_can_be_made_and_changed(struct: type[Struct], how: bytes) -> None:
    source = Octets(how)
    if implicit_fields(struct):
        return
    value = made(source, struct, Pool())
    assert struct.decode(value.encode()) == value
    changed = mutated(source, value, Pool([value]))
    assert struct.decode(changed.encode()) == changed


def test_real_messages_are_accepted() -> None:
    """So the targets begin with what is valid, not with what is refused at the first check."""
    for each in scenes():
        assert isinstance(each, Scene)
        group = each.victim(safe=True)
        kinds = set()
        for message in each.messages:
            received = refused(receiving.receive, group, message, now=None, psks=each.party.look_up)
            kinds.add(received.code if isinstance(received, RemoteError) else type(received).__name__)
        assert kinds <= {"ApplicationMessage", "CommitMessage", "ProposalMessage"}
