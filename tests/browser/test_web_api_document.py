"""The examples of the documents of the Web API are programs, and they run; none of its calls is without an example."""

import re

import pytest

from dev.steps import ROOT
from tests.browser.conftest import NewContext
from tests.browser.pages import MODULE_PATH

_REFERENCE = "web-api.md"
_EXPLAINER = "web-api-explainer.md"
_FACADE = "mls-facade.md"
_SURFACES = [ROOT / "web" / "api" / f"{name}.api.md" for name in ("mls-federation", "call")]


def _examples(document: str) -> list[str]:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    return re.findall(r"^```js\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            _REFERENCE,
            [
                "a.example http://",
                "alice@a.example 0 hello 5\n",
                "\n0 1\n",
                "\nunknown-identity ",
                "\nalice@a.example 1\n",
            ],
        ),
        (_FACADE, ["hello\n", "\n2\n"]),
        (
            _EXPLAINER,
            ["Shall we?\nequal safety numbers: true\n", "ben@b.example: 16 and 12 octets, for epoch 1\n"],
        ),
    ],
)
async def test_the_examples_run(new_context: NewContext, document: str, expected: list[str]) -> None:
    program = "\n".join([*_examples(document), "window.finished = true;"])
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

    transcript = "\n".join([*said, ""])
    assert [text for text in expected if text not in transcript] == []


def test_every_call_has_an_example() -> None:
    surface = "\n".join(file.read_text(encoding="utf-8") for file in _SURFACES)
    classes = re.findall(
        r"^export class \w+ extends EventTarget \{\n(.*?)^\}", surface, re.DOTALL | re.MULTILINE
    )
    members = set(re.findall(r"^    (?:static |get )?(\w+)\(", "\n".join(classes), re.MULTILINE))
    members -= {"constructor"}
    assert len(members) > 25

    examples = "\n".join(_examples(_REFERENCE))

    assert [name for name in sorted(members) if not re.search(rf"\.{name}\b", examples)] == []
