"""The page of the conference as people use it: by its visible controls alone."""

import re
from dataclasses import dataclass

from playwright.async_api import BrowserContext, Locator, Page, expect
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from tests.browser.pages import unique_name

CONFERENCE = "/demo/call.html"
VERIFIED = "Encrypted and verified"


@dataclass(frozen=True)
class Guest:
    """Somebody on the page of the conference."""

    page: Page
    identity: str

    def tile(self, other: "Guest") -> Locator:
        """The tile of another participant here."""
        return self.page.locator(f'#tiles [data-identity="{other.identity}"]')

    def member(self, other: "Guest") -> Locator:
        """The line of a member in the list of people here."""
        return self.page.locator(f'#people [data-identity="{other.identity}"]')

    async def link(self) -> str:
        """What the page shows as the link to the room."""
        return await self.page.get_by_label("Link to this room").input_value()

    async def press(self, name: str) -> None:
        """Click the button of this name."""
        try:
            await self.page.get_by_role("button", name=name, exact=True).click()
        except PlaywrightTimeoutError:
            shown = await self.page.locator("body").inner_text()
            raise AssertionError(
                f"{self.identity} could not press {name!r}; the page shows: {shown}"
            ) from None

    async def say(self, text: str) -> None:
        """Write into the chat."""
        field = self.page.get_by_label("Message", exact=True)
        await field.fill(text)
        await self.press("Send")
        await expect(field).to_have_value("")


async def fill_in(page: Page, name: str, domain: str, source: str = "Test picture and tone") -> None:
    """Say who one is, and with what picture."""
    await expect(page.locator("#enter")).to_be_enabled()
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Delivery service").select_option(domain)
    await page.get_by_label(source).check()


async def start_room(
    context: BrowserContext, name: str, domain: str, source: str = "Test picture and tone"
) -> Guest:
    """A room of one's own."""
    page = await context.new_page()
    await page.goto(CONFERENCE)
    host = Guest(page, f"{unique_name(name)}@{domain}")
    await fill_in(page, host.identity.split("@")[0], domain, source)
    await host.press("Start a room")
    link = re.compile(f"#room=[0-9a-f]+&host={re.escape(host.identity)}$")
    await expect(page.get_by_label("Link to this room")).to_have_value(link)
    return host


async def ask_to_be_let_in(
    context: BrowserContext, link: str, name: str, domain: str, source: str = "Test picture and tone"
) -> Guest:
    """Somebody who has opened the link and waits."""
    page = await context.new_page()
    await page.goto(link)
    guest = Guest(page, f"{unique_name(name)}@{domain}")
    await fill_in(page, guest.identity.split("@")[0], domain, source)
    await guest.press("Ask to be let in")
    await expect(page.get_by_label("Your address")).to_have_value(guest.identity)
    return guest


async def let_in(host: Guest, guest: Guest) -> None:
    """The host types the address that the guest was shown."""
    address = host.page.get_by_label("Address of whom to let in")
    await address.fill(guest.identity)
    await host.press("Let in")
    await expect(address).to_have_value("")
    await expect(host.member(guest)).to_be_visible()


async def see_each_other(*guests: Guest) -> None:
    """Each shows all the others as verified, and their pictures move."""
    for guest in guests:
        for other in guests:
            if other is not guest:
                await expect(guest.tile(other).locator(".badge")).to_have_text(VERIFIED)
                await moves(guest, other)


async def moves(guest: Guest, other: Guest) -> None:
    """Wait until ten more frames of another one's picture were shown here, by the same element."""
    await guest.page.wait_for_function(
        """([id, seen]) => {
            const video = document.querySelector(`#tiles [data-identity="${id}"] video`);
            if (video !== null && seen.video !== video) {
                Object.assign(seen, { video, frames: 0 });
                const count = () => {
                    if (seen.video !== video) return;
                    seen.frames++;
                    video.requestVideoFrameCallback(count);
                };
                video.requestVideoFrameCallback(count);
            }
            return video !== null && seen.frames > 10;
        }""",
        arg=[other.identity, await guest.page.evaluate_handle("({})")],
    )
