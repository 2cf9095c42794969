"""Official vectors: the lengths of variable-size vectors (§2.1.2)."""

from mls_federation.codec.varint import read_length, write_length
from tests.support.vector_files import every_vector


def test_deserialization() -> None:
    for vector in every_vector("deserialization"):
        header = bytes.fromhex(vector["vlbytes_header"])
        assert read_length(header, 0) == (vector["length"], len(header))
        assert write_length(vector["length"]) == header
