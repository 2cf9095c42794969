"""A participant of a conference call that is no browser: the same call, the same keys, on aiortc (see `__main__`)."""
