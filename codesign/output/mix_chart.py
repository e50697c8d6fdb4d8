"""Charts of a mix of replicas: which kinds serve which bucket, and what the mix costs beside one kind alone."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from codesign.mix.answer import MixAnswer
from codesign.output.drawing import COLOURS, GREY, INK, legend, plain, plural, title

CHARTS = ("slices", "costs")
WIDTH, ROW = 560, 20   # px: of a full bar, from bar to bar
MOST_BUCKETS = 80      # those with the most requests/s; slices.csv has all
NARROW = 0.025         # share of the width: a narrower part has no room for its letter
MIX, DIVIDED = "this mix", "divided at will (least)"


def charts(answer: MixAnswer) -> dict[str, Any]:
    """The charts by name; a demand of nothing has none."""
    if not answer.cost_usd_per_h or not answer.shares:
        return {}
    return {"slices": slices_chart(answer), "costs": costs_chart(answer)}


def _colours(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Letter and colour of each kind in use; letters tell kinds apart in black and white."""
    return {name: (_letters(i), COLOURS[i % len(COLOURS)]) for i, name in enumerate(names)}


def _letters(i: int) -> str:
    return chr(ord("A") + i % 26) * (1 + i // 26)


def _legend(kinds: dict[str, tuple[str, str]]) -> alt.Color:
    return legend([f"{letter}: {name}" for name, (letter, _) in kinds.items()], [c for _, c in kinds.values()],
                  orient="right", offset=16)  # fmt: skip


def slices_chart(answer: MixAnswer) -> Any:
    """A bar for each bucket, divided among the kinds that serve its slices."""
    kinds = _colours([kind.name for kind in answer.kinds if kind.count])
    rates: dict[str, float] = {}
    for s in answer.shares:
        rates[_label(s.model, s.bucket)] = rates.get(_label(s.model, s.bucket), 0.0) + s.requests_per_s
    shown = sorted(rates, key=lambda label: -rates[label])[:MOST_BUCKETS]
    order = [label for label in rates if label in set(shown)]
    rows, filled = [], dict.fromkeys(order, 0.0)
    for s in answer.shares:
        label = _label(s.model, s.bucket)
        if label not in filled:
            continue
        begin = filled[label]
        filled[label] = end = begin + s.slices / s.of
        letter = kinds[s.kind][0]
        rows.append({"bucket": f"{label}   {rates[label]:,.3g}/s", "begin": begin, "end": end,
                     "middle": (begin + end) / 2, "group": f"{letter}: {s.kind}",
                     "text": letter if end - begin >= NARROW else "", "requests": s.requests_per_s,
                     "load": s.load})  # fmt: skip
    left = len(rates) - len(order)
    notes = [f"share of each bucket's requests/s; {'divided at will' if answer.fractional else 'in whole slices'}"]
    notes += [f"the {len(order)} buckets with the most requests/s; {left} more in slices.csv"] if left else []
    rented = ", ".join(f"{kind.count:,} x {kind.name}" for kind in answer.kinds if kind.count)
    ys = alt.Y("bucket:N", sort=[f"{label}   {rates[label]:,.3g}/s" for label in order],
               axis=alt.Axis(title=None, labelLimit=300, ticks=False, domain=False))  # fmt: skip
    percent = alt.Axis(title=None, format="%", tickCount=5)
    xs = alt.X("begin:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=percent)
    base = alt.Chart(alt.InlineData(values=rows))
    bars = base.mark_bar(stroke="white", strokeWidth=1, height=ROW - 4).encode(
        y=ys, x=xs, x2="end:Q", color=_legend(kinds),
        tooltip=["bucket:N", "group:N", "requests:Q", "load:Q"],
    )  # fmt: skip
    letters = base.mark_text(fontSize=10, color=INK).encode(y=ys, x="middle:Q", text="text:N")
    drawn = alt.layer(bars, letters).properties(width=WIDTH, height=ROW * len(order), title=title(rented, *notes))
    return plain(drawn)


def costs_chart(answer: MixAnswer) -> Any:
    """The mix, by kind, beside each kind alone, in $/h."""
    cost = answer.cost_usd_per_h or 0.0
    kinds = _colours([kind.name for kind in answer.kinds if kind.count])
    rows: list[dict[str, Any]] = []
    top = max([cost, *(one.cost_usd_per_h or 0.0 for one in answer.singles)]) * 1.22  # room for the values
    paid = 0.0
    for kind in answer.kinds:
        if kind.count and kind.cost_usd_per_h > 0:
            letter, colour = kinds[kind.name]
            begin, paid = paid, paid + kind.cost_usd_per_h
            wide = kind.cost_usd_per_h >= NARROW * top
            rows.append({"bar": MIX, "begin": begin, "end": paid, "colour": colour, "middle": (begin + paid) / 2,
                         "text": letter if wide else "", "group": f"{letter}: {kind.name}"})  # fmt: skip
    alone = sorted((one for one in answer.singles if one.cost_usd_per_h), key=lambda one: one.cost_usd_per_h or 0.0)
    least = [] if answer.proof is None or answer.proof.floor is None else [(DIVIDED, answer.proof.floor)]
    others = [*least, *((f"{one.count:,} x {one.kind} alone", one.cost_usd_per_h or 0.0) for one in alone)]
    bars = [{"bar": name, "begin": 0.0, "end": value, "colour": "#D0D0D0"} for name, value in others]
    ends = [{"bar": name, "end": value, "text": _dollars(value, cost)} for name, value in [(MIX, cost), *others]]
    order = [MIX, *(name for name, _ in others)]
    ys = alt.Y("bar:N", sort=order, axis=alt.Axis(title=None, labelLimit=300, ticks=False, domain=False))
    xs = alt.X("begin:Q", scale=alt.Scale(domain=[0, top], nice=False), axis=alt.Axis(title="$/h", tickCount=6))
    own = alt.Chart(alt.InlineData(values=rows)).mark_bar(stroke="white", strokeWidth=1, height=ROW - 4).encode(
        y=ys, x=xs, x2="end:Q", color=_legend(kinds), tooltip=["group:N", "begin:Q", "end:Q"],
    )  # fmt: skip
    grey = alt.Chart(alt.InlineData(values=bars)).mark_bar(stroke=GREY, strokeWidth=0.5, height=ROW - 4).encode(
        y=ys, x=xs, x2="end:Q", color=alt.Color("colour:N", scale=None),
    )  # fmt: skip
    letters = alt.Chart(alt.InlineData(values=rows)).mark_text(fontSize=10, color=INK).encode(
        y=ys, x="middle:Q", text="text:N",
    )  # fmt: skip
    values = alt.Chart(alt.InlineData(values=ends)).mark_text(fontSize=10, color=INK, align="left", dx=5).encode(
        y=ys, x="end:Q", text="text:N",
    )  # fmt: skip
    used = plural(len(kinds), "kind")
    best = min((one.cost_usd_per_h or 0.0 for one in alone), default=None)
    finding = f"{used} of replica for {_money(cost)}"
    finding += f"; the best kind alone {best / cost - 1:+.1%}" if best is not None else "; no kind can serve all alone"
    drawn = alt.layer(own, grey, letters, values).resolve_scale(color="independent")
    return plain(drawn.properties(width=WIDTH, height=ROW * len(order), title=title(finding)))


def _money(usd: float) -> str:
    return f"${usd:,.2f}/h"


def _dollars(value: float, cost: float) -> str:
    return _money(value) + ("" if value == cost else f" ({value / cost - 1:+.1%})")


def _label(model: str, bucket: str) -> str:
    return f"{model}: {bucket}" if model else bucket
