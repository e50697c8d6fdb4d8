"""The chart of regrets: for each design, in which share of scenarios it is no more than so far behind the best.

A curve that ends below 100% has scenarios in which the design breaks a limit.
"""

from typing import Any

import altair as alt
import numpy as np

from codesign.changes.robust_answer import DesignPart, RobustAnswer
from codesign.output.drawing import plain, title
from codesign.system.layouts import Floats, Ints

# Okabe and Ito; each curve has a dash of its own too, for print without colours
LOOKS = (("#000000", [1, 0]), ("#0072B2", [8, 3]), ("#D55E00", [2, 2]), ("#009E73", [10, 3, 2, 3]),
         ("#CC79A7", [5, 2]))  # fmt: skip
WIDTH, HEIGHT = 620, 340


def chart(a: RobustAnswer, regret: Floats, broken: Ints) -> Any:
    """Cumulative shares of the designs with a role, then of those that are best most often."""
    order = sorted(range(len(a.designs)), key=lambda i: (not a.designs[i].roles, -a.designs[i].scenarios.best_share))
    shown = order[: len(LOOKS)]
    right = max([0.01, *(float(regret[i][broken[i] == 0].max(initial=0.0)) for i in shown)]) * 1.04
    labels = [_label(a.designs[i]) for i in shown]
    rows = [row for i, label in zip(shown, labels, strict=True) for row in _curve(regret[i], broken[i], label, right)]
    x = alt.X("regret:Q", scale=alt.Scale(domain=[0, right], nice=False),
              axis=alt.Axis(format=".1%" if right < 0.1 else ".0%", grid=False, titlePadding=8),
              title="regret: value lost against the best of the scenario")  # fmt: skip
    y = alt.Y("share:Q", scale=alt.Scale(domain=[0, 1.01], nice=False), axis=alt.Axis(format=".0%"),
              title="share of scenarios with no more regret")  # fmt: skip
    legend = alt.Legend(title=None, orient="bottom", columns=1, labelLimit=0, symbolSize=900, symbolStrokeWidth=2.5,
                        labelFontSize=11, rowPadding=-6)  # fmt: skip
    looks = LOOKS[: len(shown)]
    colours = alt.Scale(domain=labels, range=[colour for colour, _ in looks])
    dashes = alt.Scale(domain=labels, range=[dash for _, dash in looks])
    lines = alt.Chart(alt.InlineData(values=rows)).mark_line(interpolate="step-after", strokeWidth=2.4, clip=True)
    drawn = lines.encode(
        x=x, y=y, color=alt.Color("design:N", scale=colours, legend=legend),
        strokeDash=alt.StrokeDash("design:N", scale=dashes, legend=legend),
    )  # fmt: skip
    return plain(drawn.properties(width=WIDTH, height=HEIGHT, title=_title(a)))


def _curve(regret: Floats, broken: Ints, label: str, right: float) -> list[dict[str, Any]]:
    kept = np.sort(regret[broken == 0])
    share = np.arange(1, len(kept) + 1) / len(regret)
    points = [(0.0, 0.0), *zip(kept.tolist(), share.tolist(), strict=True), (right, len(kept) / len(regret))]
    return [{"regret": x, "share": y, "design": label} for x, y in points]


def _label(d: DesignPart) -> str:
    said = [", ".join(d.roles)] * bool(d.roles)
    said += [f"breaks a limit in {d.scenarios.break_share:.0%}"] if d.scenarios.break_share else []
    return d.name + (f" ({'; '.join(said)})" if said else "")


def _title(a: RobustAnswer) -> alt.TitleParams:
    regret, risk = a.choices[0], a.designs[0].scenarios
    if regret.design is None:
        finding = f"No design keeps every limit in {a.must_fit:.0%} of {a.solved} scenarios"
    elif (worst := a.designs[regret.design].scenarios.regret_worst) < 1:
        finding = f"{a.designs[regret.design].name} is never more than {worst:.1%} behind the best"
    else:
        finding = f"No design keeps every limit in all {a.solved} scenarios"
    notes = [f"{a.solved} scenarios of {len(a.uncertain)} uncertain numbers; a curve that ends low breaks limits"]
    if risk.break_share:
        notes.insert(0, f"The nominal optimum breaks a limit in {risk.break_share:.0%} of the scenarios")
    return title(finding, *notes)
