"""Pages for the browser tests: the demo as a visitor has it, and an empty page that holds the module alone."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from playwright.async_api import BrowserContext, Page, expect

from dev.federation import Federation

# Starting Pyodide takes several seconds, and a good many on a machine that has other things to do.
expect.set_options(timeout=90_000)

# The module's API in a page of its own, with what a test wants to see of it made JSON: octets are hexadecimal, bigints
# decimal digits. `caught` runs a call and returns what it threw.
_MODULE_PAGE = """<!doctype html><title>module</title><script type="module">
import { MLSError, MLSFederation } from "/mls-federation/index.js";
const hex = (octets) => Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
const plain = (value) => {
  if (value instanceof Uint8Array) return { hex: hex(value) };
  if (typeof value === "bigint") return { bigint: String(value) };
  if (value instanceof MLSError) return { code: value.code, message: value.message, details: plain(value.details) };
  if (value instanceof EventTarget) return { object: value.constructor.name };
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]));
  return value;
};
const caught = async (call) => {
  try {
    await call();
  } catch (error) {
    return { type: error.constructor.name, ...plain(error), name: error.name };
  }
  return null;
};
const seen = [];
const watch = (client) => {
  for (const name of ["group", "message", "epoch", "removed", "connection", "error"])
    client.addEventListener(name, ({ detail }) => {
      seen.push({ name, detail: plain(detail) });
      if (name === "group") window.group = detail.group;
    });
};
const unhex = (digits) => Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
Object.assign(window, { MLSError, MLSFederation, caught, hex, plain, seen, unhex, watch });
</script>"""

MODULE_PATH = "/module-alone"


def unique_name(name: str) -> str:
    """A name that no other test of the session uses: an identity can be claimed once."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def addresses(federation: Federation) -> dict[str, str]:
    """The base address of each domain's delivery service."""
    return {domain: service.url for domain, service in federation.services.items()}


async def open_module(context: BrowserContext) -> Page:
    """An empty page of our origin with the module imported and nothing loaded."""
    await context.route(
        f"**{MODULE_PATH}", lambda route: route.fulfill(body=_MODULE_PAGE, content_type="text/html")
    )
    page = await context.new_page()
    await page.goto(MODULE_PATH)
    await page.wait_for_function("window.MLSFederation !== undefined")
    return page


async def open_module_client(
    context: BrowserContext, federation: Federation, name: str, domain: str
) -> tuple[Page, str]:
    """A page with a client in `window.client`, its events in `window.seen`; and the client's address."""
    page = await open_module(context)
    identity = f"{unique_name(name)}@{domain}"
    await page.evaluate(
        """async ([services, identity]) => {
            window.mls = await MLSFederation.load({ crypto: "webjs" });
            for (const [domain, url] of Object.entries(services)) await mls.setDeliveryService(domain, url);
            window.client = await mls.createClient({ identity });
            watch(client);
        }""",
        [addresses(federation), identity],
    )
    return page, identity


async def wait_for_event(page: Page, name: str, **detail: Any) -> dict[str, Any]:
    """The detail of the first event `name` of the page's client that has these members; removes it."""
    handle = await page.wait_for_function(
        """([name, wanted]) => {
            const index = seen.findIndex((event) => event.name === name && Object.entries(wanted).every(
                ([member, value]) => JSON.stringify(event.detail[member]) === JSON.stringify(value)));
            return index >= 0 && seen.splice(index, 1)[0].detail;
        }""",
        arg=[name, detail],
    )
    found: dict[str, Any] = await handle.json_value()
    return found


async def caught(page: Page, call: str, arg: Any = None) -> dict[str, Any]:
    """What a call in the page threw: its class as `type`, and for an `MLSError` `code`, `message` and `details`."""
    thrown: dict[str, Any] | None = await page.evaluate(f"(arg) => caught(() => {call})", arg)
    assert thrown is not None, f"{call} threw nothing"
    return thrown


async def open_demo(context: BrowserContext, name: str, domain: str) -> tuple[Page, str]:
    """The demo with keys made for `name` at `domain`; and the address."""
    page = await context.new_page()
    unique = unique_name(name)
    await page.goto(f"/?name={unique}&service={domain}")
    await page.get_by_role("button", name="Make my keys").click()
    await expect(page.locator("#identity")).to_have_text(f"{unique}@{domain}")
    return page, f"{unique}@{domain}"


async def invite(page: Page, identity: str) -> None:
    """Fetch the keys of an identity in the demo, and start a group with it or add it."""
    await page.fill("#peer", identity)
    await page.click("#fetch")
    await page.get_by_test_id("invite").click()
    await expect(page.locator(f'#members [data-identity="{identity}"]')).to_be_visible()


async def shown_srtp_keys(page: Page, profile: str) -> dict[str, tuple[str, str]]:
    """The revealed keys of the demo: key and salt of each sender, in hexadecimal."""
    await page.select_option("#srtp-profile", profile)
    await expect(page.locator(f'#srtp-keys[data-profile="{profile}"]')).to_be_visible()
    rows = await page.eval_on_selector_all(
        "#srtp-keys > li",
        """(rows) => rows.map((row) => [row.dataset.identity,
            ...["key", "salt"].map((name) => row.querySelector(`[data-secret=${name}]`).textContent.replaceAll(" ", ""))])""",
    )
    return {identity: (key, salt) for identity, key, salt in rows}


def as_json(services: Mapping[str, str]) -> str:
    """A mapping as it is written in `/federation.json`."""
    return json.dumps({"domains": dict(services)})
