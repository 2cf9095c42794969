"""What is wrong with a store."""


class StoreError(Exception):
    """The store cannot be used; the message says why, for the operator."""
