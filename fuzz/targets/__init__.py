"""All targets, by name."""

from ..target import Target
from . import (
    certificates,
    codec,
    federation,
    history,
    joining,
    messages,
    ordering,
    session,
    state,
    vector_files,
)

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        codec.TARGET,
        messages.PLAIN,
        messages.CHANGED,
        messages.SEALED,
        joining.WELCOME,
        joining.INFO,
        history.TARGET,
        session.TARGET,
        federation.TARGET,
        ordering.TARGET,
        state.TARGET,
        vector_files.TARGET,
        certificates.TARGET,
    )
}
