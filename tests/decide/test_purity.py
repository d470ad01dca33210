"""model and decide know no clock, no chance, no world; observe and decide never wait."""

import ast
from pathlib import Path

import pytest

import tidbbackup

PACKAGE = Path(tidbbackup.__file__).parent
PURE = sorted([*(PACKAGE / "model").rglob("*.py"), *(PACKAGE / "decide").rglob("*.py")])
FORBIDDEN_MODULES = {
    "os",
    "time",
    "random",
    "logging",
    "asyncio",
    "socket",
    "subprocess",
    "secrets",
    "uuid",
    "pathlib",
}
FORBIDDEN_CALLS = {"now", "utcnow", "today", "open", "print", "input"}


def trouble(tree: ast.AST) -> list[str]:
    """Whatever in the code could look at the world or wait for it."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found += [alias.name for alias in names if alias.name.split(".")[0] in FORBIDDEN_MODULES]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FORBIDDEN_MODULES:
                found.append(module)
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                found.append(f"{name}()")
            case ast.Await() | ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith():
                found.append("await")
    return found


@pytest.mark.parametrize("path", PURE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_it_is_pure(path: Path) -> None:
    assert trouble(ast.parse(path.read_text())) == []


def test_an_observation_never_waits() -> None:
    assert "await" not in trouble(ast.parse((PACKAGE / "reconcile" / "observe.py").read_text()))


@pytest.mark.parametrize(
    "text", ["datetime.now()", "import os.path", "from time import sleep", "async def f(): await x"]
)
def test_trouble_is_seen(text: str) -> None:
    assert trouble(ast.parse(text))
