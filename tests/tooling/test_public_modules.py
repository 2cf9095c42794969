"""Which modules of `web/src` a page may import: those in `exports` of `web/package.json`, and their reports are `web/api`."""

import json

from dev.steps import ROOT

_SOURCES = ROOT / "web" / "src"


def _exported(*, typed: bool) -> set[str]:
    """Names of the modules that the package exports; `typed`: only those that have types of their own."""
    targets = json.loads((ROOT / "web" / "package.json").read_text())["exports"].values()
    return {
        target["default"].removeprefix("./module/").removesuffix(".js")
        for target in targets
        if isinstance(target, dict) and "default" in target and (not typed or "types" in target)
    }


def test_a_module_is_public_or_another_one_uses_it() -> None:
    public = {f"{name}.js" for name in _exported(typed=False)}
    modules = {file.name: file.read_text() for file in _SOURCES.glob("*.js")}

    # By `import`, or by the address that a worker is started from.
    used = {name for name in modules for user, text in modules.items() if user != name and f'{name}"' in text}

    assert public <= set(modules)
    assert set(modules) - used <= public


def test_each_public_module_has_its_report() -> None:
    reports = {file.name.removesuffix(".api.md") for file in (ROOT / "web" / "api").glob("*.api.md")}
    assert reports == {"mls-federation" if name == "index" else name for name in _exported(typed=True)}
