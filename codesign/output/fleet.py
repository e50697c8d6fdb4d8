"""A fleet on the terminal: by period what to buy, what runs where, what it costs, what limits and what proves it."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from codesign.facts.units import show
from codesign.fleet.answer import FleetAnswer, FleetProofPart, PeriodPart, ReplicaPart, ShadowPart
from codesign.output.text import Table, columns, count, doubts, left_out, pairs, section

OBJECTIVES = {"cost": "least cost", "throughput-per-dollar": "most tokens per dollar", "value": "most served value",
              "power": "least power"}  # fmt: skip


def render(answer: FleetAnswer) -> Iterator[RenderableType]:
    """The parts of an answer in reading order."""
    yield Text(_asked(answer), style="dim")
    if answer.proof is None:
        yield from _without(answer)
        return
    yield Text(_headline(answer, answer.proof), style="bold")
    for period in answer.periods:
        yield from _period(period)
    yield from _scenarios(answer)
    yield from section("Limits", _limits(answer))
    if answer.shadows:
        yield from section("One step more of a limit that binds (solved again)", _shadows(answer))
    if answer.duals:
        yield from section("Prices of the linear relaxation (of an ideal fleet in parts)", _duals(answer))
    if answer.singles:
        yield from section("With a single kind of chip", _singles(answer))
    yield from section("Proof", _proof(answer.proof))
    yield from doubts(answer.unverified, answer.assumptions)
    yield from left_out(answer.left_out)


def _asked(answer: FleetAnswer) -> str:
    plan = answer.plan
    limits = [f"{name.replace('_', ' ')} {_written(value)}" for name, value in plan.get("limits", {}).items() if value]
    more = [f"survive {plan['survive']}"] if plan.get("survive") else []
    more += [count(len(plan["scenarios"]), "scenario")] if plan.get("scenarios") else []
    said = [OBJECTIVES[plan.get("objective", "cost")], count(len(plan["workloads"]), "workload"),
            count(len(plan["periods"]), "period"), f"{plan.get('engine', 'vllm')} today", *more]  # fmt: skip
    return "Asked: " + ", ".join(said) + "; limits: " + ("; ".join(limits) or "none")


def _written(value: object) -> str:
    """A limit of the plan for people."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_written(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return " / ".join(_one([_written(one) for one in value]))
    if isinstance(value, str) and " " in value:
        number, _, unit = value.partition(" ")
        return show(float(number), unit)
    return "yes" if value is True else f"{value}"


def _headline(answer: FleetAnswer, proof: FleetProofPart) -> str:
    proven = "" if answer.status == "optimal" else " (best found; not proven in the time given)"
    bought = sum(kind.bought for period in answer.periods for kind in period.kinds)
    kinds = sorted({kind.chip for period in answer.periods for kind in period.kinds if kind.owned})
    return (f"{_value(proof.value, proof.unit)}: {count(bought, 'server')} bought over "
            f"{count(len(answer.periods), 'period')}, {', '.join(kinds) or 'none'}{proven}")  # fmt: skip


def _value(value: float, unit: str) -> str:
    if unit == "tokens per USD":
        return f"{value:,.0f} tokens per dollar"
    return show(value, unit)


def _period(period: PeriodPart) -> Iterator[RenderableType]:
    years = "" if period.years == 1 else f", {period.years:g} years"
    dated = period.name if period.name == str(period.year) else f"{period.name}, {period.year}"
    yield Text(f"\n{dated}{years}", style="bold")
    power = "unknown" if period.power_w is None else show(period.power_w, "W")
    money = (f"spend {show(period.capital_usd, 'USD')}; the period costs "
             f"{show(period.charge_usd + period.running_usd, 'USD')} (repayment {show(period.charge_usd, 'USD')}, "
             f"upkeep and electricity {show(period.running_usd, 'USD')}), {show(period.hourly_usd, 'USD/h')}; "
             f"{power}, {period.racks:.3g} racks")  # fmt: skip
    yield Padding(money, (0, 0, 0, 2))
    yield Padding(_kinds(period), (0, 0, 0, 2))
    yield Padding(_workloads(period), (0, 0, 0, 2))
    yield Padding(_replicas(period.replicas), (0, 0, 0, 2))


def _kinds(period: PeriodPart) -> Table:
    table = columns("servers", "buy", "retire", "end of life", "own", "chips", "in use", "spare", "power", "cost")
    for kind in period.kinds:
        table.add_row(
            kind.chip, *(f"{n:,}" if n else "-" for n in (kind.bought, kind.retired, kind.ended)), f"{kind.owned:,}",
            f"{kind.chips:,}", f"{kind.used:,}", f"{kind.spare:,}",
            "unknown" if kind.power_w is None else show(kind.power_w, "W"), show(kind.cost_usd, "USD"),
        )  # fmt: skip
    return table


def _workloads(period: PeriodPart) -> Table:
    table = columns("workload", "asked /s", "served /s", "busy", "could serve beside", "chips", "prefill", "decode",
                   "tokens/s", "$/Mtok")  # fmt: skip
    for one in period.workloads:
        table.add_row(
            one.workload, f"{one.requests:,.4g}", f"{one.served:,.4g}", f"{one.utilisation:.1%}", f"{one.spare:,.3g}",
            f"{one.chips:,}", *(f"{n:,}" if n else "-" for n in (one.prefill_chips, one.decode_chips)),
            f"{one.tokens:,.0f}", "-" if one.usd_per_mtok is None else f"{one.usd_per_mtok:.4g}",
        )  # fmt: skip
    return table


def _replicas(replicas: Sequence[ReplicaPart]) -> Table:
    table = columns("replicas of", "in + out", "phase", "on", "layout", "n", "chips", "batch", "requests/s",
                   "tokens/s", "first token", left=5)  # fmt: skip
    for one in replicas:
        data = f" DP{one.data}" if one.data > 1 else ""
        expert = f" EP{one.expert}" if one.expert > 1 else ""
        table.add_row(
            one.workload, f"{one.input} + {one.output}", one.phase if one.meets else f"{one.phase}, slow",
            one.chip, f"TP{one.tensor}{data} PP{one.pipeline}{expert} {one.weights}", f"{one.replicas:,}",
            f"{one.chips_per_replica:,}", f"{one.batch:,}", f"{one.requests:,.4g}",
            "-" if one.user_speed is None else f"{one.user_speed:,.1f}",
            "-" if one.ttft_s is None else show(one.ttft_s, "s"),
        )  # fmt: skip
    return table


def _scenarios(answer: FleetAnswer) -> Iterator[RenderableType]:
    if not answer.scenarios:
        return
    names = list(answer.scenarios[0].served)
    table = columns("case", "probability", *names)
    for case in answer.scenarios:
        chance = "must hold" if case.probability is None else f"{case.probability:.0%}"
        met = [" / ".join(_one([f"{share:.1%}" for share in case.served[name]])) for name in names]
        table.add_row(case.name, chance, *met)
    yield from section("Share of demand met by the same hardware, by period", table)


def _one(texts: list[str]) -> list[str]:
    """One for all where they are the same."""
    return texts[:1] if len(set(texts)) == 1 else texts


def _limits(answer: FleetAnswer) -> Table:
    table = columns("limit", *(period.name for period in answer.periods))
    names = list(dict.fromkeys(limit.name for period in answer.periods for limit in period.limits))
    for name in names:
        cells = []
        for period in answer.periods:
            limit = next((one for one in period.limits if one.name == name), None)
            cells.append("-" if limit is None else f"{_amount(limit.used, limit.unit)} of "
                         f"{_amount(limit.allowed, limit.unit)}{' binds' if limit.binding else ''}")  # fmt: skip
        table.add_row(name, *cells)
    return table


def _amount(value: float, unit: str) -> str:
    return show(value, unit) if unit != "1" else f"{value:,.4g}"


def _shadows(answer: FleetAnswer) -> Table:
    unit = answer.proof.unit if answer.proof else "USD"
    table = columns("limit", "period", "allowed", "one step", "then", "better by", left=3)
    for one in answer.shadows:
        then = one.status if one.value is None else _value(one.value, unit)
        table.add_row(one.limit, one.period or "all", one.allowed, one.step, then, _better(one, unit))
    return table


def _better(one: ShadowPart, unit: str) -> str:
    if one.gain is None:
        return "-"
    if not one.at_most or not one.at_least:
        return "nothing" if not one.at_most else f"nothing found (proven: at most {_value(one.at_most, unit)})"
    return _value(one.gain, unit)


def _duals(answer: FleetAnswer) -> Table:
    table = columns("limit", "period", "price", left=2)
    for one in answer.duals:
        table.add_row(one.limit, one.period, f"{one.price:,.4g} {answer.proof.unit if answer.proof else ''} {one.unit}")
    return table


def _singles(answer: FleetAnswer) -> Table:
    unit = answer.proof.unit if answer.proof else "USD"
    table = columns("chip", "objective", "behind")
    for one in answer.singles:
        behind = "-" if one.behind is None else f"{one.behind:.1%}" if one.behind > 1e-9 else "the same"
        note = "" if one.status in ("optimal", "infeasible") else " (not proven)"
        note += " beyond the limits on money, power, racks and supply" if one.lifted else ""
        table.add_row(one.chip, (one.status if one.value is None else _value(one.value, unit)) + note, behind)
    return table


def _proof(p: FleetProofPart) -> Table:
    gap = "unknown" if p.gap is None else f"{p.gap:.1e}"
    bound = "unknown" if p.bound is None else f"{p.bound:.9g}"
    return pairs([
        ("objective", f"{p.objective}: {p.value:.9g} {p.unit}, proven bound {bound}, gap {gap}"),
        ("space", p.space),
        ("program", f"{count(p.demands, 'demand')}, {p.columns:,} columns, {p.solved:,} in the integer program, "
                    f"{p.nodes:,} nodes"),
        ("audit", "recomputed without a solver: every replica's times, its place in a server, money and limits"),
        ("seconds", ", ".join(f"{name} {s:.2f}" for name, s in p.seconds.items())),
    ])  # fmt: skip


def _without(answer: FleetAnswer) -> Iterator[RenderableType]:
    """No fleet: proven that there is none, or none found in time."""
    if answer.status == "infeasible":
        yield Text("Infeasible: no fleet satisfies this plan.", style="bold")
    else:
        yield Text("Undecided: no fleet was found in the time given, and none is ruled out.", style="bold")
    if answer.in_the_way:
        yield Text(answer.in_the_way)
    if answer.cures:
        yield Text("In the way, each alone with all others held:")
        for cure in answer.cures:
            yield Padding(f"{cure.limit} = {cure.asked}: {cure.works} would work", (0, 0, 0, 2))
    yield from left_out(answer.left_out)
