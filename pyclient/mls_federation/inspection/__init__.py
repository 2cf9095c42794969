"""What messages hold, field by field, and how a ratchet tree is shaped: for people to look at. Nothing is verified."""

from .messages import describe_message
from .structs import Described
from .trees import DescribedNode, DescribedTree, describe_tree

__all__ = ["Described", "DescribedNode", "DescribedTree", "describe_message", "describe_tree"]
