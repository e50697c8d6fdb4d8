"""An answer on the terminal: what to buy, what it does, what limits it, what proves it."""

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from codesign.facts.document import LimitPart
from codesign.facts.units import show
from codesign.output import pools
from codesign.output.text import INDENT, Table, columns, count, doubts, left_out, pairs, section
from codesign.system.answer import Answer, MoneyPart, PerformancePart, ProofPart, SystemPart
from codesign.system.objective import OBJECTIVES
from codesign.system.query import Query

REMEDY = "; bring one in with --assume PATH=VALUE"
DOLLARS = ("USD", "USD/h", "W", "B", "B/s", "s", "tokens/s")


def render(answer: Answer) -> Iterator[RenderableType]:
    """The parts of an answer in reading order."""
    yield Text(_question(answer), style="dim")
    if answer.status == "infeasible":
        yield from _infeasible(answer)
        return
    if answer.system is None or answer.performance is None or answer.money is None or answer.proof is None:
        raise ValueError(f"{answer.status} answer without a system")
    if answer.prefill is not None:
        yield from pools.render(answer)
        yield from section("Both pools", pairs(_money(answer.money)))
    else:
        yield Text(_headline(answer.system, answer.status), style="bold")
        yield Padding(_system(answer.system, answer.performance, answer.money), INDENT)
    yield from section("Limits", _limits(answer.limits))
    yield from section("Proof", _proof(answer.proof, "layouts and batches" if answer.prefill is None else pools.POINTS))
    yield from section("Best of the other memory technologies (closed form, same limits)", _others(answer))
    yield from doubts(answer.unverified, answer.assumptions)
    yield from left_out(answer.left_out, REMEDY)


def _question(answer: Answer) -> str:
    """What was asked, with every limit in force: a file's or the built-in query's too."""
    q = answer.query
    said = [workload_said(answer.mode, q), OBJECTIVES[q["maximize"]].order]
    return "Asked: " + ", ".join(said) + "; " + limits_said(q)


def workload_said(mode: str, q: dict[str, Any]) -> str:
    """Mode, engine or its release, model, precision, context and lengths of a query."""
    asked = Query.model_validate(q)
    engine = [asked.release or asked.engine] if mode == "achieved" else []
    lengths = [f"{asked.input:,} in", f"{asked.output:,} out"] if mode == "achieved" else []
    said = [f"mode {mode}", *engine, f"{q['model']} in {', '.join(q['precision'])}",
            f"{q['context']:,} tokens of context", *lengths,
            *(["prefill and decode in pools apart"] if q.get("serving", {}).get("phases") == "disaggregated" else [])]
    return ", ".join(said)


def limits_said(q: dict[str, Any]) -> str:
    """Every limit of a query."""
    limits = [f"{name.replace('_', ' ')} {_written(value)}" for name, value in q.get("limits", {}).items()]
    return "limits: " + (", ".join(limits) or "none")


def _written(value: str | int) -> str:
    """A limit of the query for people: "150000.0 W" is 150 kW."""
    if isinstance(value, int):
        return f"{value:,}"
    number, _, unit = value.partition(" ")
    return show(float(number), unit)


def _headline(s: SystemPart, status: str) -> str:
    proven = "" if status == "optimal" else " (best found; not proven in the time given)"
    replicas = count(s.replicas, "replica")
    data = f" DP{s.data}" if s.data > 1 else ""
    return f"{s.chips_bought} x {s.title}, {s.memory.upper()}: {replicas} of TP{s.tensor}{data} PP{s.pipeline}{proven}"


def _system(s: SystemPart, p: PerformancePart, m: MoneyPart) -> Table:
    stacks = "" if s.stacks is None else f", {s.stacks} stacks a chip"
    made = " (composed, not a product)" if s.composed else ""
    spare = "" if s.servers == s.servers_bought else f", {s.servers_bought - s.servers} of them spare"
    held = f"{show(p.memory_bytes, 'B')} of {show(p.usable_bytes, 'B')}"
    chips = count(s.chips_per_replica, "chip")
    data = "" if s.data == 1 else f" x data {s.data}"
    shares = ", ".join(f"{name} {share:.0%}" for name, share in sorted(p.shares.items(), key=lambda x: -x[1]))
    return pairs([
        ("chip", f"{s.chip}{made}"),
        ("memory", f"{s.memory}{stacks}; {held} used on the fullest chip"),
        ("layout", f"{chips} a replica: tensor {s.tensor}{data} x pipeline {s.pipeline}, expert {s.expert}, "
                   f"weights {s.weights}, KV {s.kv}"),
        ("replicas", f"{s.replicas:,} on {count(s.servers_bought, 'server')} "
                     f"({count(s.chips_bought, 'chip')}, {count(s.racks, 'rack')}){spare}"),
        ("users", f"{p.users:,} at once, {s.users_per_replica:,} a replica; batch limited by {p.batch_limited_by}"),
        ("speed", f"{p.user_speed:,.1f} tokens/s a user, {p.throughput:,.0f} tokens/s in total"),
        *_steps(p, shares),
        *_money(m),
    ])  # fmt: skip


def _money(m: MoneyPart) -> list[tuple[str, str]]:
    capital = "none (not bought)"
    if m.capital_usd is not None:
        capital = f"{show(m.capital_usd, 'USD')}{_parts(m.capital, 'USD')}"
    power = "unknown" if m.power_w is None or m.facility_w is None else (
        f"{show(m.power_w, 'W')} IT provisioned, {show(m.facility_w, 'W')} at the meter")  # fmt: skip
    return [
        ("capital", capital),
        ("running", f"{show(m.hourly_usd, 'USD/h')}{_parts(m.hourly, 'USD/h')}"),
        ("tokens", f"${m.usd_per_mtok:,.4g} per million at {m.utilisation:.0%} utilisation"),
        ("power", power),
    ]


def _steps(p: PerformancePart, shares: str) -> list[tuple[str, str]]:
    if p.step_band_s is None:
        return [("step", f"{show(p.step_s, 's')}, limited by {p.limiting} (busy: {shares})")]
    low, high = p.step_band_s
    within = f"{show(low, 's')} to {show(high, 's')}"
    rows = [("each token", f"{show(p.step_s, 's')} on average; 80 % of runs within {within}"),
            ("made of", shares)]  # fmt: skip
    return rows if p.ttft_s is None else [("first token", f"{show(p.ttft_s, 's')} on average, waits included"), *rows]


def _parts(parts: dict[str, float], unit: str) -> str:
    return " (" + ", ".join(f"{name} {show(value, unit)}" for name, value in parts.items()) + ")" if parts else ""


def quantity(value: float, unit: str) -> str:
    """A quantity with its unit, for people."""
    return show(value, unit) if unit in DOLLARS else f"{value:,.6g} {unit}"


def _limits(limits: tuple[LimitPart, ...]) -> Table:
    table = columns("limit", "used", "allowed", "")
    for x in limits:
        word = "at least " if x.name in ("user_speed", "users") else ""
        mark = Text("binds", style="bold") if x.binding else Text("")
        table.add_row(x.name.replace("_", " "), quantity(x.used, x.unit), word + quantity(x.allowed, x.unit), mark)
    return table


def _proof(p: ProofPart, points: str) -> Table:
    gap = "unknown" if p.gap is None else f"{p.gap:.1e}"
    bound = "unknown" if p.bound is None else f"{p.bound:.9g}"
    impossible = "; ".join(f"{n:,} {reason}" for reason, n in p.impossible.items())
    rows = [
        ("objective", f"{p.objective}: {p.value:.9g} {p.unit}, proven bound {bound}, gap {gap}"),
        ("space", f"{p.considered:,} layouts considered ({p.space}); {p.feasible:,} feasible"),
        ("not possible", impossible or "none"),
        ("program", f"{p.columns:,} columns, {p.removed:,} removed by their bounds, {p.solved:,} solved, "
                    f"{p.solves} solves, {p.nodes} nodes"),
        ("proven by", _method(p, points)),
        ("audit", "recomputed without a solver"),
        ("seconds", ", ".join(f"{name} {s:.2f}" for name, s in p.seconds.items())),
    ]  # fmt: skip
    return pairs(rows)


def _method(p: ProofPart, points: str) -> str:
    """What proves the value, and what became of the complete enumeration."""
    bounded = "the bound of the program" if p.method in ("program", "both") else ""
    if p.enumerated is not None:
        same = f"the enumeration of all {p.enumerated:,} {points}"
        looked = f"{same}, whose best is the same" if p.method in ("enumeration", "both") else f"not by {same}"
    else:
        looked = f"not enumerated ({p.not_enumerated})" if p.not_enumerated else ""
    found = [part for part in (bounded, looked) if part]
    if p.method == "none":
        found.insert(0, "nothing in the time given")
    return (" and " if p.method == "both" else "; ").join(found)


def _others(answer: Answer) -> Table:
    table = columns("memory", "chip", "layout", "behind", left=3)
    for o in answer.others:
        behind = o.why if o.behind is None else "best" if o.behind < 1e-9 else f"{o.behind:.1%}"
        table.add_row(o.label, o.chip or "-", o.layout or "-", behind)
    return table


def _infeasible(answer: Answer) -> Iterator[RenderableType]:
    yield Text("Infeasible: no system in the catalogue satisfies all limits.", style="bold")
    if answer.cures:
        yield Text("In the way, each alone with all others held:")
        for cure in answer.cures:
            yield Padding(f"{cure.asked}: {cure.works} would work", INDENT)
    else:
        yield Text(f"In the way: {answer.in_the_way}" if answer.not_looked_for else answer.in_the_way)
        for one in answer.conflicts:
            said = " with ".join(one) or "no limit at all"
            yield Padding(f"{said}: nothing satisfies {'that' if len(one) < 2 else 'these together'}", INDENT)
        if answer.together:
            both = "; ".join(f"{cure.asked}: {cure.works}" for cure in answer.together)
            yield Padding(f"together would work: {both} (`codesign relax` says what it buys)", INDENT)
    if answer.not_looked_for:
        yield Text(f"Not looked for in the time given: {', '.join(answer.not_looked_for)}")
    yield from left_out(answer.left_out, REMEDY)
