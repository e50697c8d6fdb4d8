"""Charts of a fleet by period: servers by kind, money, and how busy the workloads keep them."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from codesign.facts.units import show
from codesign.fleet.answer import FleetAnswer, PeriodPart
from codesign.output.drawing import COLOURS, legend, plain, texts, title

CHARTS = ("fleet", "money", "utilisation")
HEIGHT, STEP = 300, 135      # px: of a panel, of a period
LEAST = 0.05                 # share of a panel below which a bar has no room for its text


def charts(answer: FleetAnswer) -> dict[str, Any]:
    """The charts by name."""
    if not answer.periods:
        return {}
    return {"fleet": fleet_chart(answer), "money": money_chart(answer), "utilisation": utilisation_chart(answer)}


def _kinds(answer: FleetAnswer) -> list[str]:
    return list(dict.fromkeys(kind.chip for period in answer.periods for kind in period.kinds))


def _colour(answer: FleetAnswer) -> alt.Color:
    kinds = _kinds(answer)
    return legend(kinds, [COLOURS[i % len(COLOURS)] for i in range(len(kinds))], orient="bottom", columns=4)


def _names(periods: Sequence[PeriodPart]) -> list[str]:
    return [period.name if str(period.year) in period.name else f"{period.name} ({period.year})" for period in periods]


def fleet_chart(answer: FleetAnswer) -> Any:
    """Chips that are owned in each period, stacked by kind; a bar says its servers, and what was bought."""
    rows = []
    for name, period in zip(_names(answer.periods), answer.periods, strict=True):
        base = 0
        for kind in period.kinds:
            change = (f" (+{kind.bought:,})" if kind.bought else "") + (f" (-{kind.retired:,})" if kind.retired else "")
            rows.append({"period": name, "group": kind.chip, "from": base, "to": base + kind.chips,
                         "text": f"{kind.chip}: {kind.owned:,}{change}"})  # fmt: skip
            base += kind.chips
    last = answer.periods[-1]
    finding = (f"{sum(kind.chips for kind in answer.periods[0].kinds):,} chips in {answer.periods[0].name}, "
               f"{sum(kind.chips for kind in last.kinds):,} in {last.name}")  # fmt: skip
    drawn = _stack(answer, rows, "chips", _names(answer.periods), step=STEP * 1.2, whole=True)
    note = "Owned in each period; a bar says its servers, in brackets bought (+) and retired (-) at its start"
    return plain(drawn.properties(title=title(finding, note)))


def money_chart(answer: FleetAnswer) -> Any:
    """Two panels: capital that each period spends, with its limit, and what the period costs."""
    names = _names(answer.periods)
    spent, cost, limits = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()
    for name, period in zip(names, answer.periods, strict=True):
        for rows, values in (
            (spent, {kind.chip: kind.capital_usd for kind in period.kinds}),
            (cost, {kind.chip: kind.cost_usd for kind in period.kinds}),
        ):  # fmt: skip
            _pile(rows, name, values)
        limit = next((one.allowed for one in period.limits if one.name == "capital"), None)
        if limit is not None:
            limits.append({"period": name, "limit": limit / 1e6, "text": f"limit {show(limit, 'USD')}"})
    left = _stack(answer, spent, "capital spent, millions of dollars", names, marks=limits)
    right = _stack(answer, cost, "cost of the period, millions of dollars", names)
    total = sum(period.charge_usd + period.running_usd for period in answer.periods)
    capital = sum(period.capital_usd for period in answer.periods)
    finding = f"{show(capital, 'USD')} is spent; the periods cost {show(total, 'USD')}"
    return plain(alt.hconcat(left, right, spacing=40).properties(title=title(
        finding, "Cost: repayment, upkeep and electricity; a line across: the limit on capital")))  # fmt: skip


def _pile(rows: list[dict[str, Any]], period: str, values: Mapping[str, float]) -> None:
    base = 0.0
    for chip, usd in values.items():
        rows.append({"period": period, "group": chip, "from": base, "to": base + usd / 1e6,
                     "text": f"{chip}: {show(usd, 'USD')}"})  # fmt: skip
        base += usd / 1e6


def _stack(
    answer: FleetAnswer, rows: list[dict[str, Any]], axis: str, names: Sequence[str], *, step: float = STEP,
    marks: Sequence[dict[str, Any]] = (), whole: bool = False,
) -> Any:  # fmt: skip
    """Bars stacked by kind over the periods, each with its text inside, and limits as lines across."""
    tops = {name: max((row["to"] for row in rows if row["period"] == name), default=0.0) for name in names}
    most = max([*tops.values(), *(row["limit"] for row in marks), 1e-9]) * 1.12
    rows = [{**row, "middle": (row["from"] + row["to"]) / 2} for row in rows if row["to"] > row["from"]]
    x = alt.X("period:N", sort=list(names), axis=alt.Axis(title=None, labelAngle=0, labelLimit=0))
    y = alt.Y("from:Q", scale=alt.Scale(domain=[0, most], nice=False),
              axis=alt.Axis(title=axis, tickMinStep=1 if whole else 1e-3))  # fmt: skip
    bars = alt.Chart(alt.InlineData(values=rows)).mark_bar(stroke="#444444", strokeWidth=0.8).encode(
        x=x, y=y, y2="to:Q", color=_colour(answer), tooltip=["period:N", "group:N", "text:N"])  # fmt: skip
    inside = [row for row in rows if row["to"] - row["from"] >= LEAST * most]
    layers = [bars, texts(inside, x, alt.Y("middle:Q"))]
    if marks:
        dash = alt.Chart(alt.InlineData(values=list(marks)))
        layers += [dash.mark_tick(thickness=1.8, color="#222222", width=step * 0.92).encode(
            x=x, y=alt.Y("limit:Q")), texts(marks, x, alt.Y("limit:Q"), dy=-8)]  # fmt: skip
    return alt.layer(*layers).properties(width=alt.Step(step), height=HEIGHT)


def utilisation_chart(answer: FleetAnswer) -> Any:
    """A bar for each workload and period: the share of what its replicas can serve that is asked of them."""
    names = _names(answer.periods)
    rows: list[dict[str, Any]] = [
        {"period": name, "workload": one.workload, "busy": one.utilisation,
         "text": f"{one.utilisation:.0%} of {one.chips:,} chips"}
        for name, period in zip(names, answer.periods, strict=True) for one in period.workloads
    ]  # fmt: skip
    workloads = list(dict.fromkeys(row["workload"] for row in rows))
    y = alt.Y("workload:N", sort=workloads, axis=alt.Axis(title=None, labelLimit=0, labelFontSize=11))
    x = alt.X("busy:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=alt.Axis(title="busy", format="%", values=[
        0, 0.25, 0.5, 0.75, 1]))  # fmt: skip
    panels = []
    for name in names:
        here = [row for row in rows if row["period"] == name]
        bars = alt.Chart(alt.InlineData(values=here)).mark_bar(color=COLOURS[0], stroke="#444444",
                                                               strokeWidth=0.8).encode(x=x, y=y)  # fmt: skip
        said = texts(here, alt.value(6), y, align="left")
        panels.append(alt.layer(bars, said).properties(width=200, height=34 * len(workloads), title=alt.TitleParams(
            name, fontSize=11, anchor="start")))  # fmt: skip
    least = min(rows, key=lambda row: row["busy"])
    finding = f"Least busy: {least['workload']} in {least['period']}, {least['busy']:.0%}"
    note = "Share of the requests/s that the replicas of a workload can serve, in its busier phase"
    return plain(alt.hconcat(*panels, spacing=24).properties(title=title(finding, note)))
