"""Robust designs on the terminal: what to buy, what the nominal optimum risks, designs side by side, proofs."""

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from codesign.changes.robust_answer import ChoicePart, DesignPart, LossPart, RobustAnswer
from codesign.facts.units import show
from codesign.output.text import Table, count, pairs
from codesign.system.objective import OBJECTIVES

MOST_ROWS = 12
NOTHING = 5e-4  # a loss that would show as 0.0%
INDENT = (0, 0, 0, 2)


def render(a: RobustAnswer) -> Iterator[RenderableType]:
    """The parts in reading order."""
    yield Text(_asked(a), style="dim")
    if not a.designs:
        yield Text(f"Infeasible: {_nothing(a)}", style="bold")
        return
    yield from _headline(a)
    yield Text("\nOver the scenarios (share of those solved; regret: 1 - value / best)", style="bold")
    yield Padding(_table(a, [(d, d.scenarios) for d in a.designs]), INDENT, expand=False)
    yield Text(f"\nUnder a model error of {a.error_factor:g} times, all numbers as today ({a.error_solved} scenarios)",
               style="bold")  # fmt: skip
    erring = [(d, d.model_error) for d in a.designs if d.roles and d.model_error is not None]
    yield Padding(_table(a, erring), INDENT, expand=False) if erring else Text("  nothing fits in any of them")
    yield Text("\nProof", style="bold")
    yield Padding(pairs([(c.question, _proof(c)) for c in a.choices]), INDENT, expand=False)
    yield from _footnotes(a)


def _asked(a: RobustAnswer) -> str:
    q, what = a.query, "published ranges of the catalogue" if a.uncertainty == "catalogue" else a.uncertainty
    goal = OBJECTIVES[q["maximize"]].order
    return (f"Asked: {a.asked} scenarios of {count(len(a.uncertain), 'uncertain number')} ({what}, seed {a.seed}), "
            f"mode {a.mode}, {q['model']}, {q['context']:,} tokens of context, {goal}")  # fmt: skip


def _nothing(a: RobustAnswer) -> str:
    if a.nominal_value is None:
        return "no system satisfies all limits today; `codesign best` says what is in the way"
    return f"no system satisfies all limits in any of the {a.asked} scenarios"


def _headline(a: RobustAnswer) -> Iterator[RenderableType]:
    regret, worst = a.choices
    if regret.design is None:
        yield Text(f"Infeasible: no design keeps every limit in {a.must_fit:.0%} of the scenarios", style="bold")
    else:
        yield Text(f"Least worst regret: {a.designs[regret.design].name}", style="bold")
        yield Padding(_chosen(a, a.designs[regret.design]), INDENT, expand=False)
    if worst.design is not None:
        yield Text(f"Best worst case: {a.designs[worst.design].name}", style="bold")
        yield Padding(_chosen(a, a.designs[worst.design]), INDENT, expand=False)
    nominal = a.designs[0]
    yield Text(f"Nominal optimum: {nominal.name}", style="bold")
    lost = [f"loses {nominal.scenarios.regret_mean:.1%} in the mean, {nominal.scenarios.regret_worst:.1%} at worst"]
    if nominal.model_error is not None:
        e = nominal.model_error
        lost.append(f"under a model error of {a.error_factor:g} times {e.regret_mean:.1%} in the mean, "
                    f"{e.regret_p95:.1%} in one scenario of 20, {e.regret_worst:.1%} at worst")  # fmt: skip
    yield Padding(Text("; ".join([*_breaks(nominal.scenarios), *lost])), INDENT, expand=False)


def _chosen(a: RobustAnswer, d: DesignPart) -> Text:
    worst = d.scenarios.worst_value
    if worst is None:
        least = "no design keeps every limit in all scenarios: of those that fit often enough, the least mean loss"
    else:
        least = f"never {'below' if OBJECTIVES[a.query['maximize']].up else 'above'} {_value(a, worst)}"
    loss = f"costs {d.nominal_loss:.1%} today" if d.nominal_loss > NOTHING else "costs nothing today"
    today = "breaks a limit today" if d.nominal_value is None else loss
    behind = f"at worst {d.scenarios.regret_worst:.1%} behind the best of a scenario"
    return Text("; ".join([f"{behind}, {d.scenarios.regret_mean:.1%} in the mean", least, today,
                           *_breaks(d.scenarios)]))  # fmt: skip


def _breaks(loss: LossPart) -> list[str]:
    if not loss.break_share:
        return []
    which = ", ".join(f"{name.replace('_', ' ')} {share:.0%}" for name, share in loss.breaks.items())
    return [f"breaks a limit in {loss.break_share:.0%} of the scenarios ({which})"]


def _value(a: RobustAnswer, value: float) -> str:
    unit, _, per = a.unit.partition(" per ")
    return f"{value:.4g} {unit} per {per}" if per else show(value, unit)


def _table(a: RobustAnswer, rows: list[tuple[DesignPart, LossPart]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("design")
    for name in ("best in", "regret mean", "95%", "worst", "breaks", "today"):
        table.add_column(name, justify="right")
    table.add_column("")
    ranked = sorted(rows, key=lambda row: (not row[0].roles, -row[1].best_share, row[1].regret_mean))
    for d, loss in ranked[:MOST_ROWS]:
        loss_today = f"-{d.nominal_loss:.1%}" if d.nominal_loss > NOTHING else "best"
        today = "breaks" if d.nominal_value is None else loss_today
        table.add_row(d.name, f"{loss.best_share:.0%}", f"{loss.regret_mean:.1%}", f"{loss.regret_p95:.1%}",
                      f"{loss.regret_worst:.1%}", f"{loss.break_share:.0%}", today, ", ".join(d.roles))  # fmt: skip
    if len(ranked) > MOST_ROWS:
        table.add_row(f"... and {len(ranked) - MOST_ROWS} more (--json)")
    return table


def _proof(c: ChoicePart) -> str:
    if c.status == "infeasible":
        return f"proven: none of {c.considered} designs fits often enough"
    reach = "over every layout and replica count of the catalogue" if c.complete else "among the designs compared only"
    return (f"proven {reach}: worst loss {c.value:.6g}, bound {c.bound:.6g}; {count(c.considered, 'design')} compared, "
            f"{c.held} of them not dominated in every scenario")  # fmt: skip


def _footnotes(a: RobustAnswer) -> Iterator[RenderableType]:
    if a.infeasible:
        yield Text(f"\nIn {count(len(a.infeasible), 'scenario')} nothing fits; they are in no share", style="bold")
    if a.failed:
        yield Text(f"\nNot solved ({len(a.failed)})", style="bold")
        for number, error in list(a.failed.items())[:5]:
            yield Padding(Text(f"scenario {number}: {error}"), INDENT, expand=False)
    yield Text("\nAssumptions", style="bold")
    for line in a.assumptions:
        yield Padding(Text(line), INDENT, expand=False)
