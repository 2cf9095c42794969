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


def open_engine(webkit: WebDriver, federation: Federation) -> None:
    """Load the page in the chosen window, the engine in it, and set the addresses."""
    webkit.open(f"{federation.url}{MODULE_PATH}")
    webkit.wait_until("return window.MLSFederation !== undefined")
    assert webkit.run("return typeof WebAssembly.Suspending") == "undefined"
    webkit.run(
        """const [services] = args;
        window.mls = await MLSFederation.load({ crypto: "webjs" });
        for (const [domain, url] of Object.entries(services)) await mls.setDeliveryService(domain, url);""",
        addresses(federation),
    )


def open_kept(webkit: WebDriver, federation: Federation, address: str) -> None:
    """As `open_engine`, and the client that is kept of this address."""
    open_engine(webkit, federation)
    webkit.run(
        """const kept = (await mls.accounts()).find(({ identity }) => identity === args[0]);
        window.client = await mls.openClient(kept.account);
        watch(client);
        [window.group] = client.groups;""",
        address,
    )


@contextmanager
def client_in_window(webkit: WebDriver, federation: Federation, name: str, domain: str) -> Iterator[Window]:
    handle = webkit.new_window()
    open_engine(webkit, federation)
    window = Window(webkit, handle, f"{unique_name(name)}@{domain}")
    window.run(
        """const [identity] = args;
        window.client = await mls.createClient({ identity });
        watch(client);""",
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


def test_a_client_goes_on_after_a_reload_and_in_the_window_that_is_left(
    webkit: WebDriver, federation: Federation
) -> None:
    details = "return [client.fingerprint, plain(await group.details())]"
    with (
        client_in_window(webkit, federation, "alice", "a.example") as alice,
        client_in_window(webkit, federation, "bob", "b.example") as bob,
    ):
        alice.run("window.group = await client.createGroup(); await group.add(...args)", bob.identity)
        bob.event("group")
        before = alice.run(details)
        webkit.open("about:blank")
        bob.run("await group.send('while you were away')")
        webkit.choose_window(alice.handle)
        open_kept(webkit, federation, alice.identity)
        assert alice.run(details) == before
        assert alice.event("message", text="while you were away")["sender"] == bob.identity

        other = Window(webkit, webkit.new_window(), alice.identity)
        open_kept(webkit, federation, alice.identity)
        assert [window.run("return client.leads") for window in (alice, other)] == [True, False]
        other.run("await group.send('from the other window')")
        assert bob.event("message", text="from the other window")["sender"] == alice.identity
        alice.run("mls.dispose()")
        webkit.choose_window(other.handle)
        webkit.wait_until("return client.leads")
        other.run("await group.send('and on')")
        bob.event("message", text="and on")
        other.run("mls.dispose()")


def test_a_page_that_webkit_keeps_for_back_lets_others_go_on(
    webkit: WebDriver, federation: Federation
) -> None:
    with client_in_window(webkit, federation, "alice", "a.example") as alice:
        alice.run(
            "window.stayed = true; mls.addEventListener('error', ({ detail }) => (window.told = detail.code))"
        )
        webkit.open("about:blank")
        other = Window(webkit, webkit.new_window(), alice.identity)
        open_kept(webkit, federation, alice.identity)
        assert other.run("return client.leads")

        webkit.choose_window(alice.handle)
        webkit.back()
        assert webkit.run("return window.stayed"), "WebKit did not keep the page, so this test shows nothing"
        assert webkit.wait_until("return window.told") == "suspended"
        assert alice.run("return await client.createGroup().catch(({ code }) => code)") == "suspended"
        other.run("mls.dispose()")


def test_the_interface_of_firefoxs_mls(webkit: WebDriver, federation: Federation) -> None:
    webkit.choose_window(webkit.new_window())
    webkit.open(f"{federation.url}{MODULE_PATH}")
    webkit.wait_until("return window.MLSFederation !== undefined")
    heard = webkit.run(
        """await import("/mls-federation/mls-polyfill.js");
        const mls = new MLS();
        const person = async (name) => [await mls.generateIdentity(), await mls.generateCredential(name)];
        const [alice, bob] = [await person("alice"), await person("bob")];
        const group = await mls.groupCreate(...alice);
        const { commit, welcome } = await group.add(await mls.generateKeyPackage(...bob));
        await group.receive(commit);
        const view = await mls.groupJoin(bob[0], welcome);
        const { content } = await view.receive(await (await mls.groupGet(group.groupId, alice[0])).send("hello"));
        const secrets = await Promise.all([group, view].map((one) => one.exportSecret("label", content, 16)));
        await mls.deleteState();
        const gone = await view.details().catch(({ name, cause }) => [name, cause.code]);
        return [new TextDecoder().decode(content), hex(secrets[0].secret) === hex(secrets[1].secret), gone];"""
    )
    assert heard == ["hello", True, ["UnknownError", "no-such-group"]]
