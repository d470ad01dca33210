"""Each module has a test file of its name in the mirrored place, or one whose docstring names it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT, TESTS = ROOT / "tidbbackup", ROOT / "tests"


def has_rules(module: Path) -> bool:
    """Whether it does more than declare."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(module.read_text())))


MODULES = sorted(
    str(path.relative_to(PRODUCT))
    for path in PRODUCT.rglob("*.py")
    if not path.name.startswith("__") and has_rules(path)
)
DOCSTRINGS = [ast.get_docstring(ast.parse(path.read_text())) or "" for path in TESTS.rglob("test_*.py")]
NAMED = {word.strip(",.`") for text in DOCSTRINGS for word in text.split()}


@pytest.mark.parametrize("module", MODULES)
def test_it_is_known_where_a_module_is_tested(module: str) -> None:
    path = Path(module)
    wanted = TESTS / path.parent / f"test_{path.name}"
    assert wanted.exists() or module in NAMED, (
        f"make {wanted.relative_to(ROOT)}, or name {module} in the docstring of the file that tests its rules"
    )
