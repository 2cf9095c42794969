"""The ES module in WebKit, which has no JavaScript Promise Integration: nothing of the client may need that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dev.federation import Federation
from dev.webdriver import WebDriver
from mls_federation.media import SrtpProfile
from tests.browser.pages import MODULE_PATH, addresses, unique_name


@dataclass(frozen=True)
class Window:
    """A window with a client in `window.client`, and the client's address."""

    webkit: WebDriver
    handle: str
    identity: str

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of an async function in this window."""
        self.webkit.choose_window(self.handle)
        return self.webkit.run(script, *arguments)

    def event(self, name: str, **detail: Any) -> dict[str, Any]:
        """The detail of the first event `name` of the client that has these members, once it has come."""
        self.webkit.choose_window(self.handle)
        found: dict[str, Any] = self.webkit.wait_until("return taken(...args)", name, detail)
        return found


@contextmanager
def client_in_window(webkit: WebDriver, federation: Federation, name: str, domain: str) -> Iterator[Window]:
    handle = webkit.new_window()
    webkit.open(f"{federation.url}{MODULE_PATH}")
    window = Window(webkit, handle, f"{unique_name(name)}@{domain}")
    webkit.wait_until("return window.MLSFederation !== undefined")
    assert window.run("return typeof WebAssembly.Suspending") == "undefined"
    window.run(
        """const [services, identity] = args;
        window.mls = await MLSFederation.load({ crypto: "webjs" });
        for (const [domain, url] of Object.entries(services)) await mls.setDeliveryService(domain, url);
        window.client = await mls.createClient({ identity });
        watch(client);""",
        addresses(federation),
        window.identity,
    )
    yield window
    window.run("mls.dispose()")


def test_two_windows_in_one_group(webkit: WebDriver, federation: Federation) -> None:
    with (
        client_in_window(webkit, federation, "alice", "a.example") as alice,
        client_in_window(webkit, federation, "bob", "b.example") as bob,
    ):
        alice.run("window.group = await client.createGroup(); await group.add(...args)", bob.identity)
        assert bob.event("group")["details"]["epoch"] == {"bigint": "1"}

        alice.run("await group.send('hello')")
        message = bob.event("message")
        assert (message["sender"], message["text"]) == (alice.identity, "hello")
        bob.run("await group.update(); await group.send('with new keys')")
        alice.event("epoch", epoch={"bigint": "2"})
        assert alice.event("message", text="with new keys")["sender"] == bob.identity

        seen = set()
        for profile in SrtpProfile:
            script = "const [profile] = args; return plain(await group.exportSrtpKeys({ profile }))"
            keys = alice.run(script, profile.name)
            assert keys == bob.run(script, profile.name)
            assert [key["identity"] for key in keys] == [alice.identity, bob.identity]
            seen |= {key["key"]["hex"] for key in keys}
        assert len(seen) == 2 * len(SrtpProfile)

        alice.run("await group.remove(...args)", bob.identity)
        bob.event("removed")
        assert bob.run("return client.groups.length") == 0
        assert [event["name"] for window in (alice, bob) for event in window.run("return seen")].count(
            "error"
        ) == 0
