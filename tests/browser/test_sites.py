"""Sites that somebody makes from the npm package: the starter on Python's own web server, and a bundle of Vite's."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect

from dev import environment, federation, package
from dev.environment import Environment
from dev.federation import Federation, free_port
from tests.browser.conftest import NewContext
from tests.browser.origins import Site, serving
from tests.browser.pages import addresses, unique_name


@pytest.fixture(scope="module")
def ready() -> Environment:
    return environment.prepare(development=True)


@pytest.fixture(scope="module")
def starter_url() -> str:
    """Where the starter will be."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundle")


@pytest.fixture(scope="module")
def bundle_site(bundle_folder: Path) -> Iterator[Site]:
    with serving({"/": bundle_folder}) as site:
        yield site


@pytest.fixture(scope="module")
def federation_running(
    web_root: Path, starter_url: str, bundle_site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Federation]:
    """Two delivery services that admit the sites."""
    folder = tmp_path_factory.mktemp("federation")
    origins = [starter_url, bundle_site.url]
    with federation.running(
        Path(sys.executable), web_root, folder, domains=("a.example", "b.example"), origins=origins
    ) as running:
        yield running


@pytest.fixture
def starter(ready: Environment, federation: Federation, starter_url: str, tmp_path: Path) -> Iterator[str]:
    """The starter, with the addresses of our delivery services, behind `python -m http.server`."""
    package.build(ready)
    folder = tmp_path / "site"
    subprocess.run([ready.node.program, package.FOLDER / "bin.js", "start", folder], check=True)
    for name in ("index.html", "main.js"):
        text = (folder / name).read_text()
        for port, url in zip(("8101", "8102"), addresses(federation).values(), strict=True):
            text = text.replace(f"127.0.0.1:{port}", url.partition("//")[2])
        (folder / name).write_text(text)
    # Unbuffered, it says at once that it listens.
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, starter_url.rpartition(":")[2]], stdout=subprocess.PIPE, stderr=log
        )
        assert server.stdout is not None
        try:
            assert server.stdout.readline().startswith(b"Serving HTTP on 127.0.0.1")
            yield starter_url
        finally:
            server.terminate()
            server.communicate()


async def open_starter(context: BrowserContext, url: str, identity: str) -> Page:
    """The starter's page, registered."""
    page = await context.new_page()
    await page.goto(url)
    await page.locator("#sign-up input").fill(identity)
    await page.get_by_role("button", name="Register").click()
    await expect(page.locator("#state")).to_contain_text(f"You are {identity}")
    return page


async def test_the_starter(new_context: NewContext, starter: str) -> None:
    name = unique_name("s")
    alice = await open_starter(await new_context(), starter, f"{name}@a.example")
    bob = await open_starter(await new_context(), starter, f"{name}@b.example")

    await alice.locator("#invite input").fill(f"{name}@b.example")
    await alice.get_by_role("button", name="Start a group").click()
    await expect(bob.locator("#say")).to_be_visible()
    await bob.locator("#say input").fill("Hello, Alice")
    await bob.get_by_role("button", name="Send").click()

    await expect(alice.locator("#messages li")).to_have_text(f"{name}@b.example: Hello, Alice")
    await expect(bob.locator("#messages li")).to_have_text("You: Hello, Alice")


async def test_a_bundle_of_vite(
    new_context: NewContext,
    federation: Federation,
    ready: Environment,
    bundle_site: Site,
    bundle_folder: Path,
) -> None:
    package.build_example(ready, bundle_folder, addresses(federation))
    page = await (await new_context()).new_page()

    await page.goto(f"{bundle_site.url}/index.html")

    await expect(page.locator("#state")).to_have_text("Ready; cryptography is webjs.")
    await expect(page.locator("#messages li")).to_contain_text("Hello from a bundle")
    # The module is in the bundle; the worker and what it loads are as the package has them.
    assert "/mls-federation/index.js" not in bundle_site.asked
    assert "/mls-federation/worker.js" in bundle_site.asked
