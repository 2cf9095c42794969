"""The examples of `docs/web-api.md` are one program, and it runs."""

import re

from dev.steps import ROOT
from tests.browser.conftest import NewContext
from tests.browser.pages import MODULE_PATH

_DOCUMENT = ROOT / "docs" / "web-api.md"


async def test_the_examples_run(new_context: NewContext) -> None:
    examples = re.findall(r"^```js\n(.*?)^```$", _DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    program = "\n".join([*examples, "window.finished = true;"])
    context = await new_context()
    said: list[str] = []
    context.on("console", lambda message: said.append(message.text))
    await context.route(
        f"**{MODULE_PATH}",
        lambda route: route.fulfill(
            body=f"<!doctype html><script type=module>{program}</script>", content_type="text/html"
        ),
    )
    page = await context.new_page()

    await page.goto(MODULE_PATH)
    await page.wait_for_function("window.finished")

    assert len(examples) > 12
    assert "a.example http://" in "\n".join(said)
    assert "alice@a.example 0 hello 5" in said
    assert "0 1" in said
    assert any(line.startswith("unknown-identity ") for line in said)
