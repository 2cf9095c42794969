"""Our structs are those of RFC 9420: names, fields, order, types and selects."""

import typing
from enum import IntEnum
from typing import Any

import pytest

from mls_federation.codec import ClosedEnum8, Fixed, OpenEnum16, Rest, Struct
from mls_federation.codec.generator import ImplicitSpec, SelectSpec
from mls_federation.codec.types import OptionalValue, UInt, VariableLength
from tests.support.strategies import all_structs

from .rfc_listings import Field, Listing, Listings, Select, read_listings

# Structs of ours that the RFC has no name for, because they are bodies of its selects or whole extensions.
OURS = {
    "BasicCredential": "an arm of Credential",
    "X509Credential": "an arm of Credential",
    "ExternalPSK": "an arm of PreSharedKeyID",
    "ResumptionPSK": "an arm of PreSharedKeyID",
    "LeafNodePosition": "two arms of LeafNodeTBS",
    "RatchetTreeNodes": "the vector that is the data of the ratchet_tree extension",
}
# Listings that explain the language and are no part of the protocol.
EXAMPLES_OF_THE_RFC = {"optional", "StructWithVectors"}

# Selects on a field of another struct, which our struct is told.
OUTSIDE = {
    "FramedContentAuthData": "FramedContent.content_type",
    "PrivateMessageContent": "PrivateMessage.content_type",
}
# Types that the RFC defines to be `opaque x<V>`.
OPAQUE = {"HPKEPublicKey", "SignaturePublicKey", "MAC", "KeyPackageRef", "ProposalRef", "HashReference"}

# The form in which a group's state is stored is ours alone.
NOT_OF_THE_RFC = ("mls_federation.mls.state", "mls_federation.mls.public_state")

DECLARED = {
    struct.__name__: struct
    for struct in all_structs()
    if struct.__module__.startswith(("mls_federation.mls.", "mls_federation.crypto."))
    and struct.__module__ not in NOT_OF_THE_RFC
}


@pytest.fixture(scope="module")
def rfc() -> Listings:
    return read_listings()


def test_every_struct_of_the_rfc_is_declared_and_no_other(rfc: Listings) -> None:
    assert rfc.structs.keys() - EXAMPLES_OF_THE_RFC == DECLARED.keys() - OURS.keys()
    assert OURS.keys() <= DECLARED.keys()


@pytest.mark.parametrize("name", sorted(DECLARED.keys() - OURS.keys()))
def test_struct(rfc: Listings, name: str) -> None:
    assert declared_listing(DECLARED[name]) == expected_listing(name, rfc.structs[name])


def test_ratchet_tree(rfc: Listings) -> None:
    # `optional<Node> ratchet_tree<V>;` stands alone in the RFC.
    assert declared_listing(DECLARED["RatchetTreeNodes"]) == (Field("nodes", "optional<Node><V>"),)


def enums() -> list[type[IntEnum]]:
    found: list[type[IntEnum]] = [*ClosedEnum8.__subclasses__(), *OpenEnum16.__subclasses__()]
    return [enum for enum in found if enum.__module__.startswith("mls_federation.mls.")]


def test_enums(rfc: Listings) -> None:
    declared = {enum.__name__: enum for enum in enums()}
    assert rfc.enums.keys() <= declared.keys()
    for name, listed in rfc.enums.items():
        enum = declared[name]
        assert {member.name: int(member) for member in enum} == listed.members, name
        # Only versions are extensible; the enums of one octet are closed.
        assert (listed.highest, issubclass(enum, ClosedEnum8)) in {(255, True), (65535, False)}, name


# -- what a declaration says, in the RFC's words


def declared_listing(struct: type[Struct]) -> Listing:
    hints = typing.get_type_hints(struct, include_extras=True)
    items: list[Field | Select] = []
    for name in struct._fields:
        spec = struct._specs.get(name)
        if isinstance(spec, SelectSpec):
            on = OUTSIDE.get(struct.__name__, f"{struct.__name__}.{spec.on}")
            arms = {value.name: declared_arm(arm) for value, arm in spec.arms.items()}
            items.append(Select(on, arms))
        elif not isinstance(spec, ImplicitSpec):
            items.append(Field(name, type_of(hints[name])))
    return tuple(items)


def declared_arm(arm: Any) -> tuple[Field, ...]:
    """The fields of an arm. Where it is one field, its name is ours, and does not count."""
    if arm is None:
        return ()
    if isinstance(arm, type) and arm.__name__ in OURS:
        (*fields,) = declared_listing(arm)
        assert all(isinstance(field, Field) for field in fields)
        return without_single_name(tuple(field for field in fields if isinstance(field, Field)))
    return (Field("", type_of(arm)),)


def type_of(hint: Any) -> str:
    inner, layout = hint, None
    if typing.get_origin(hint) is typing.Annotated:
        inner, layout = typing.get_args(hint)
    match layout:
        case UInt(size):
            return f"uint{8 * size}"
        case Fixed(size):
            return f"opaque[{size}]"
        case Rest():
            return "opaque[rest]"
        case OptionalValue():
            (present,) = (member for member in typing.get_args(inner) if member is not type(None))
            return f"optional<{type_of(present)}>"
        case VariableLength() if inner is bytes:
            return "opaque<V>"
        case VariableLength():
            (element, _) = typing.get_args(inner)
            return f"{type_of(element)}<V>"
        case None:
            return str(inner.__name__)
    raise AssertionError(f"RFC 9420 has no {layout}")


# -- what the RFC says, in the same form


def expected_listing(name: str, listing: Listing) -> Listing:
    items: list[Field | Select] = []
    for item in listing:
        if isinstance(item, Field):
            items.append(plain(item))
            continue
        assert item.on.startswith(f"{name}.") or item.on == OUTSIDE[name]
        arms = {
            value: without_single_name(tuple(plain(field) for field in fields))
            for value, fields in item.arms.items()
        }
        items.append(Select(item.on, arms))
    return tuple(items)


def plain(field: Field) -> Field:
    """A field with the RFC's synonyms resolved."""
    if field.type in OPAQUE:
        return Field(field.name, "opaque<V>")
    if field.type == "opaque[length_of_padding]":
        return Field(field.name, "opaque[rest]")
    return field


def without_single_name(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    return (Field("", fields[0].type),) if len(fields) == 1 else fields
