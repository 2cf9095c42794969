"""A federated delivery service for MLS (docs/protocol.md): key sets, messages and inboxes of one domain."""
