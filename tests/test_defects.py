"""`docs/defects.md`: each defect of earlier implementations has tests that exist."""

import pathlib
import re

_ROOT = pathlib.Path(__file__).parents[1]


def rows():
    text = (_ROOT / "docs/defects.md").read_text()
    return re.findall(r"^\| defect (\d+) \|[^|]*\|([^|]*)\|$", text, re.MULTILINE)


def test_every_defect_has_a_test():
    assert {int(number) for number, _ in rows()} == set(range(1, 16))
    for number, tests in rows():
        found = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
        assert found, f"Defect {number} names no test."
        for file, name in found:
            source = (_ROOT / file).read_text()
            assert f"def {name}(" in source, f"Defect {number}: no {file}::{name}."
