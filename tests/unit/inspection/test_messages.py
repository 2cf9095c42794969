"""What messages hold, field by field: every octet has its place, and whatever is no message gets the codec's own error."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mls_federation.codec import Struct, Vec, encode_vector, replace, uint16
from mls_federation.codec.generator import SelectSpec
from mls_federation.errors import DecodeError
from mls_federation.inspection import Described, describe_message
from mls_federation.inspection.names import ARMS, ENCRYPTED
from mls_federation.inspection.structs import MOST_PARTS, describe_struct, type_name
from mls_federation.mls.credentials import basic_credential
from mls_federation.mls.extensions import Extension, ExtensionType, ExternalSender, RequiredCapabilities
from mls_federation.mls.framing import ContentType, MLSMessage, WireFormat, mls_message
from mls_federation.mls.key_package import KeyPackage
from mls_federation.mls.welcome import GroupInfo
from tests.support.strategies import all_structs, implicit_fields, name_of, structs

few = settings(max_examples=5 if sys.platform == "emscripten" else 10)
# The draft's structs have vectors with bounds, which RFC 9420's have not.
STRUCTS = [
    struct
    for struct in all_structs()
    if name_of(struct).startswith(("mls.", "federation.seed."))
    and not name_of(struct).startswith("mls.state.")
    and not implicit_fields(struct)
]


def all_parts(part: Described) -> Iterator[Described]:
    yield part
    for below in part.parts:
        yield from all_parts(below)


def at(part: Described, *names: str) -> Described:
    """The part at a path of names."""
    for name in names:
        (part,) = (below for below in part.parts if below.name == name)
    return part


def check_places(part: Described, octets: bytes) -> None:
    """Each part lies inside the one it belongs to, behind the one before it, and there its octets are."""
    place = part.offset + part.type.startswith("optional")
    for below in part.parts:
        assert below.offset >= place
        if part.kind == "struct":
            assert below.offset == place
        place = below.offset + below.size
    if part.parts and not part.omitted:
        assert place == part.offset + part.size
    own = octets[part.offset : part.offset + part.size]
    assert len(own) == part.size
    match part.kind:
        case "octets":
            assert isinstance(part.value, bytes)
            assert own.endswith(part.value)
        case "number" | "enum" if not part.type.startswith("optional"):
            assert int.from_bytes(own, "big") == part.value
        case "absent":
            assert own == b"\x00"
    for below in part.parts:
        check_places(below, octets)


@pytest.mark.parametrize("struct", STRUCTS, ids=name_of)
@few
@given(data=st.data())
def test_every_octet_of_every_struct_has_its_place(struct: type[Struct], data: st.DataObject) -> None:
    value = data.draw(structs(struct))
    octets = value.encode()
    described = describe_struct(struct.__name__, struct.decode(octets), extension_types={})
    assert (described.offset, described.size) == (0, len(octets))
    check_places(described, octets)


@few
@given(structs(MLSMessage))
def test_a_message_of_any_wire_format(message: MLSMessage) -> None:
    octets = message.encode()
    described = describe_message(octets)
    check_places(described, octets)
    assert described.parts[-1].name == message.wire_format.name.removeprefix("mls_")


@settings(max_examples=50 if sys.platform == "emscripten" else 300)
@given(st.binary(max_size=300))
def test_any_octets_are_described_or_refused_as_malformed(octets: bytes) -> None:
    try:
        describe_message(octets)
    except DecodeError as error:
        assert 0 <= error.offset <= len(octets)


@settings(max_examples=50 if sys.platform == "emscripten" else 100)
@given(message=structs(MLSMessage), data=st.data())
def test_an_altered_message_is_described_or_refused_as_malformed(
    message: MLSMessage, data: st.DataObject
) -> None:
    octets = bytearray(message.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        describe_message(bytes(octets))
    except DecodeError as error:
        assert 0 <= error.offset <= len(octets)


def test_fields_and_enums_have_the_names_of_the_rfc() -> None:
    octets = bytes.fromhex("0001000201610000000000000005030001620163")
    message = describe_message(octets)
    assert [part.name for part in message.parts] == ["version", "wire_format", "private_message"]
    assert at(message, "wire_format").label == "mls_private_message"
    private = at(message, "private_message")
    assert [part.name for part in private.parts] == [
        "group_id",
        "epoch",
        "content_type",
        "authenticated_data",
        "encrypted_sender_data",
        "ciphertext",
    ]
    assert (at(private, "epoch").type, at(private, "epoch").value) == ("uint64", 5)
    assert at(private, "content_type").label == ContentType.commit.name
    assert at(private, "ciphertext").encrypted == "PrivateMessageContent, for the members of the group"
    assert at(private, "group_id").encrypted is None


def test_every_arm_of_what_a_message_holds_has_a_name() -> None:
    """Each struct of a message that has a select, and each of its arms that is on the wire."""
    for struct in STRUCTS:
        if not struct.__module__.startswith("mls_federation.mls.") or struct.__name__.endswith(
            ("TBS", "Input")
        ):
            continue
        for field, spec in struct._specs.items():
            if isinstance(spec, SelectSpec) and (struct, field) in ARMS and ARMS[struct, field]:
                named = {value for value, arm in spec.arms.items() if arm is not None}
                assert ARMS[struct, field].keys() == named, f"{struct.__name__}.{field}"


def test_what_names_refer_to_is_there() -> None:
    for struct, field in [*ARMS, *ENCRYPTED]:
        assert field in struct._fields, f"{struct.__name__}.{field}"


@pytest.mark.parametrize(
    ("hint", "name"),
    [(uint16, "uint16"), (Vec[uint16], "uint16<V>"), (Vec[ExternalSender], "ExternalSender<V>")],
)
def test_types_are_written_as_in_the_rfc(hint: Any, name: str) -> None:
    assert type_name(hint) == name


# -- extensions


def with_extensions(*extensions: Extension) -> bytes:
    info = GroupInfo.decode(_GROUP_INFO)
    return mls_message(replace(info, extensions=extensions)).encode()


# A GroupContext of empty fields; no extensions; an empty confirmation tag; signer 0; an empty signature.
_GROUP_INFO = bytes.fromhex("0001000100000000000000000000000000000000000000")


def extension(extension_type: int, data: bytes) -> Extension:
    return Extension(extension_type=ExtensionType(extension_type), extension_data=data)


def test_the_data_of_extensions_is_described_too() -> None:
    required = RequiredCapabilities(extension_types=(), proposal_types=(), credential_types=())
    senders = [ExternalSender(signature_key=b"key", credential=basic_credential(b"eve"))]
    octets = with_extensions(
        extension(ExtensionType.required_capabilities, required.encode()),
        extension(ExtensionType.external_senders, encode_vector(senders)),
        extension(0x0A0A, b"grease"),
        extension(0xF123, b"unknown"),
    )
    described = describe_message(octets)
    check_places(described, octets)
    listed = at(described, "group_info", "extensions").parts

    assert at(listed[0], "extension_data", "(data)").type == "RequiredCapabilities"
    eve = at(listed[1], "extension_data", "(data)", "[0]", "credential", "basic", "identity")
    assert eve.value == b"eve"
    assert [at(one, "extension_type").label for one in listed[2:]] == ["GREASE", None]
    assert at(listed[3], "extension_data").parts == ()


def test_an_extension_of_the_callers() -> None:
    octets = with_extensions(extension(0xF123, b"\x01k" + basic_credential(b"eve").encode()))
    described = describe_message(octets, more_extension_types={0xF123: ExternalSender})
    (listed,) = at(described, "group_info", "extensions").parts
    assert at(listed, "extension_data", "(data)").type == "ExternalSender"


@pytest.mark.parametrize("data", [b"", b"\x40", b"\x00\x00\x00\x00"])
def test_an_extension_whose_data_is_malformed_says_so(data: bytes) -> None:
    octets = with_extensions(extension(ExtensionType.required_capabilities, data))
    (listed,) = at(describe_message(octets), "group_info", "extensions").parts
    shown = at(listed, "extension_data")
    assert isinstance(shown.fault, DecodeError)
    assert (shown.value, shown.parts) == (data, ())


def test_a_description_has_an_end() -> None:
    many = tuple(ExtensionType(0xF000 + number % 0xFFF) for number in range(2 * MOST_PARTS))
    required = RequiredCapabilities(extension_types=many, proposal_types=(), credential_types=())
    octets = with_extensions(extension(ExtensionType.required_capabilities, required.encode()))
    described = describe_message(octets)
    (listed,) = at(described, "group_info", "extensions").parts
    types = at(listed, "extension_data", "(data)", "extension_types")
    assert len(types.parts) + types.omitted == len(many)
    assert types.omitted > 0
    assert sum(1 for _ in all_parts(described)) < MOST_PARTS + 1_000
    check_places(described, octets)


def test_the_version_of_a_message_is_shown_whatever_it_is() -> None:
    message = MLSMessage.decode(with_extensions())
    assert message.wire_format == WireFormat.mls_group_info
    octets = b"\x00\x09" + message.encode()[2:]
    version = at(describe_message(octets), "version")
    assert (version.value, version.label) == (9, None)


@pytest.mark.parametrize("wire_format", ["0000", "0006", "0a0a", "ffff"])
def test_a_message_of_no_wire_format_is_malformed(wire_format: str) -> None:
    with pytest.raises(DecodeError) as caught:
        describe_message(bytes.fromhex("0001" + wire_format))
    assert (caught.value.struct, caught.value.field) == ("MLSMessage", "message")


def test_a_key_package_is_described() -> None:
    assert {part.type for part in all_parts(_key_package())} >= {"KeyPackage", "LeafNode", "Capabilities"}


def _key_package() -> Described:
    leaf = "0161016200010163000000000001" + "00" * 8 + "ff" * 8 + "0000"
    package = KeyPackage.decode(bytes.fromhex("000100010164" + leaf + "0000"))
    return describe_message(mls_message(package).encode())
