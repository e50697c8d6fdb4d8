"""A mix of replicas on the terminal: what to rent, who serves what, what else it would cost, what proves it."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from codesign.mix.answer import MixAnswer, MixProofPart
from codesign.output.text import INDENT, Table, columns, count, pairs, section

UNSAID = ("sha256", "options", "plan_toml")  # of the query: for verifying it
MOST_BUCKETS = 60  # more are in the JSON and the export


def render(answer: MixAnswer) -> Iterator[RenderableType]:
    """The parts in reading order."""
    yield Text(_question(answer), style="dim")
    if answer.cost_usd_per_h is None or answer.proof is None:
        yield from _without(answer)
    else:
        proven = "" if answer.status == "optimal" else " (best found; not proven in the time given)"
        rented = ", ".join(f"{kind.count:,} x {kind.name}" for kind in answer.kinds if kind.count) or "nothing"
        yield Text(f"{rented}: {money(answer.cost_usd_per_h)}/h{proven}", style="bold")
        yield Padding(_kinds(answer), INDENT)
        yield Text("Who serves what", style="bold")
        yield Padding(_shares(answer), INDENT)
        yield Text("Proof", style="bold")
        yield Padding(pairs(_proof(answer, answer.proof)), INDENT)
    yield from section("One kind alone, as many of it as it takes", _singles(answer))
    yield Text("Assumptions", style="bold")
    yield from (Padding(line, INDENT) for line in answer.assumptions)


def money(usd: float) -> str:
    """Dollars with as many decimals as rented chips are priced in: "$6.234", "$8.35"."""
    written = f"{usd:,.4f}"
    return "$" + (written[:-2] if written.endswith("00") else written.rstrip("0"))


def _question(answer: MixAnswer) -> str:
    asked = ", ".join(f"{key} {value}" for key, value in answer.query.items() if value and not key.endswith(UNSAID))
    cut = "slices divided at will" if answer.fractional else ""
    return "Asked: " + ", ".join(part for part in (f"{answer.requests_per_s:,.6g} requests/s", asked, cut) if part)


def _without(answer: MixAnswer) -> Iterator[RenderableType]:
    if answer.status == "unknown":
        yield Text("Undecided in the time given", style="bold")
        return
    yield Text(f"Infeasible: {answer.in_the_way}", style="bold")
    for cure in answer.cures:
        yield Padding(f"{cure.limit} = {cure.works} instead of {cure.asked} would do", INDENT)


def _kinds(answer: MixAnswer) -> Table:
    table = columns("kind", "replicas", "to be had", "each", "together", "busy", "spare")
    for kind in answer.kinds:
        busy = f"{kind.load / kind.count:.1%}" if kind.count else "-"
        table.add_row(kind.name, f"{kind.count:,}", "any" if kind.available is None else f"{kind.available:,}",
                      f"{money(kind.price_usd_per_h)}/h", f"{money(kind.cost_usd_per_h)}/h", busy,
                      f"{kind.spare:.3f}" if kind.count else "-")  # fmt: skip
    return table


def _shares(answer: MixAnswer) -> Table:
    used = [kind.name for kind in answer.kinds if kind.count]
    table = columns("bucket", "requests/s", *used)
    rows: dict[tuple[str, str], dict[str, float]] = {}
    rates: dict[tuple[str, str], float] = {}
    for share in answer.shares:
        key = share.model, share.bucket
        rows.setdefault(key, {})[share.kind] = share.slices / share.of
        rates[key] = rates.get(key, 0.0) + share.requests_per_s
    for (model, bucket), split in list(rows.items())[:MOST_BUCKETS]:
        name = f"{model}: {bucket}" if model else bucket
        table.add_row(name, f"{rates[model, bucket]:,.4g}", *(_part(split.get(kind)) for kind in used))
    if len(rows) > MOST_BUCKETS:
        table.add_row(f"and {len(rows) - MOST_BUCKETS} more")
    return table


def _part(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}" if round(share, 9) == 1 else f"{share:.1%}"


def _proof(answer: MixAnswer, p: MixProofPart) -> list[tuple[str, str]]:
    bound = "none" if p.bound is None or p.gap is None else f"{money(p.bound)}/h, gap {p.gap:.2g}"
    floor = "" if p.floor is None else f"; slices divided at will: at least {money(p.floor)}/h"
    first = "none" if p.rounded is None else f"{money(p.rounded)}/h"
    million = answer.usd_per_million_requests
    return [
        ("bound", bound + floor),
        ("program", f"{p.pairs:,} pairs of bucket and kind, {p.removed:,} removed; {count(p.solves, 'solve')}, "
                    f"{p.nodes:,} nodes"),
        ("fleets", f"{p.fleets:,} tried with whole slices; by rounding alone {first}"),
        ("audit", "recomputed in exact numbers, without a solver"),
        ("requests", "-" if million is None else f"{money(million)} per million"),
    ]  # fmt: skip


def _singles(answer: MixAnswer) -> Table:
    table = columns("kind", "replicas", "cost", "more than the mix")
    for one in answer.singles:
        if one.cost_usd_per_h is None:
            table.add_row(one.kind, "-", "-", one.why)
            continue
        best = answer.cost_usd_per_h
        more = f"{one.cost_usd_per_h / best - 1:+.1%}" if best else "-"
        table.add_row(one.kind, f"{one.count:,}", f"{money(one.cost_usd_per_h)}/h", more)
    return table
