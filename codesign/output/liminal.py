"""The limit study beside ours on the terminal: known, predicted, findings, the open question."""

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.text import Text

from codesign.facts.units import show
from codesign.output.text import Table, columns, section
from codesign.physics.liminal_findings import Case, Finding, named
from codesign.physics.reproduce_liminal import Known, Prediction, Reading, Reproduction


def render(r: Reproduction) -> Iterator[RenderableType]:
    """The parts in reading order."""
    yield Text(r.study, style="bold")
    yield from section("Known results, with the study's own rounded constants", _known(r.known))
    yield from section("Predictions (ours: none of these cells is known to us), batch 1, tokens/s of a user",
                       _predictions(r.predictions), *_notes(r.predictions))  # fmt: skip
    yield from section("Findings", _findings(r.findings))
    yield from section("Open: DeepSeek-V3 on 128 xPU-HBM3, batch 1, tokens/s of a user", _readings(r.readings),
                       r.default)  # fmt: skip
    yield from section("Assumptions", *r.assumptions)


def _known(known: tuple[Known, ...]) -> Table:
    table = columns("result", "study", "ours", "exact shapes", "")
    for k in known:
        verdict, exact = "agrees" if k.agrees else "does not come out", "-" if k.exact is None else f"{k.exact:,.1f}"
        table.add_row(k.what, f"{k.study:,.0f} {k.unit}", f"{k.ours:,.1f} {k.unit}", exact, verdict)
    return table


def _predictions(predictions: tuple[Prediction, ...]) -> Table:
    """Systems that hold the model: the study's equation, then exact shapes, for each context."""
    contexts = sorted({p.context for p in predictions})
    heads = [f"prediction\n{named(c)}\n{what}" for c in contexts for what in ("study's equation", "exact shapes")]
    table = columns("model", "system", "", *heads, left=3)
    cells = {(p.model, p.chip, p.tensor, p.context): p for p in predictions}
    for model, chip, tensor in dict.fromkeys(key[:3] for key in cells):
        row = [cells.get((model, chip, tensor, context)) for context in contexts]
        if any(p is not None and p.user_speed is not None for p in row):
            table.add_row(model, chip, f"TP{tensor}", *(word for p in row for word in _speeds(p)))
    return table


def _speeds(p: Prediction | None) -> list[str]:
    if p is None:
        return ["known, above"] * 2
    return ["-" if x is None else f"{x:,.0f}" for x in (p.user_speed, p.exact_speed)]


def _notes(predictions: tuple[Prediction, ...]) -> Iterator[str]:
    """Why numbers are absent: one line for a model on a system, or for a model and a note."""
    lines: dict[str, list[str]] = {}
    for p in predictions:
        if p.note and p.user_speed is None:
            why = p.note.removeprefix("does not fit: ")
            head, part = f"{p.model} does not fit on {p.chip}: ", f"TP{p.tensor} {named(p.context)} {why}"
            lines.setdefault(head, []).append(part)
        elif p.note:
            lines.setdefault(f"{p.model}, {p.note}: ", []).append(f"{p.chip} TP{p.tensor} {named(p.context)}")
    yield from (head + "; ".join(parts) for head, parts in lines.items())


def _findings(findings: tuple[Finding, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=False, leading=1)
    for head, ratio in (("finding of the study", 3), ("ours", 5), ("verdict", 1)):
        table.add_column(head, ratio=ratio)
    for f in findings:
        said = [f"{f.check}:"] if f.verdict != "not checked" else [f.where]
        words: tuple[tuple[bool | None, str], ...] = ((True, "holds: "), (False, "not: "), (None, "shown: "))
        said += [line for line in (_listed(f, holds, word) for holds, word in words) if line]
        table.add_row(f.claim, "\n".join(said), Text(f.verdict, style="bold"))
    return table


def _listed(finding: Finding, holds: bool | None, word: str) -> str:
    cases = [case for case in finding.cases if case.holds is holds]
    return word + "; ".join(f"{case.at} {_value(case, finding.unit)}" for case in cases) if cases else ""


def _value(case: Case, unit: str) -> str:
    if unit == "1":
        return f"{case.value:.1%}"
    if unit in ("B", "s"):
        return show(case.value, unit)
    return f"{case.value:.3g}x" if unit == "x" else f"{case.value:,.0f}"


def _readings(readings: tuple[Reading, ...]) -> Table:
    table = columns("what a step reads", "weights read", "4K", "128K", "below 1,000 at 128K", "")
    for r in readings:
        mark = "default of codesign" if r.default else ""
        table.add_row(
            r.what, show(r.read_bytes, "B"), f"{r.short_speed:,.0f}", f"{r.long_speed:,.0f}",
            "yes" if r.below_1000 else "no", mark,
        )  # fmt: skip
    return table
