"""CSV as every table is written: a text that a spreadsheet would run as a formula is quoted by an apostrophe.

Names come from catalogues, tables and graphs of anybody. After OWASP, CSV Injection: a cell that begins with
`=`, `+`, `-`, `@`, tab, return or a new line; numbers are none. `unquoted` takes the apostrophe off again, and a text
that has apostrophes before such a sign itself gets one more, so every text reads back as it was.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # with the wide forms that some read alike
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as text; numbers and None (an empty cell) as they are."""
    return "".join(_line(row) for row in (header, *rows))


def _line(row: Sequence[Any]) -> str:
    """With "\\r\\n" at its end `csv` quotes every cell that has a return, at which readers would end the row."""
    out = StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([quoted(cell) for cell in row])
    return out.getvalue().removesuffix("\r\n") + "\n"


def quoted(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula.

    >>> quoted("=1+1"), quoted("-2.5"), quoted(-2.5), quoted("h100-sxm")
    ("'=1+1", '-2.5', -2.5, 'h100-sxm')
    """
    formula = isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell)
    return f"'{cell}" if formula else cell


def unquoted(cell: str) -> str:
    """The text that `quoted` was given.

    >>> unquoted("'=1+1"), unquoted("-2.5"), unquoted("'quoted'")
    ('=1+1', '-2.5', "'quoted'")
    """
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
