"""A folder with everything about a fleet: answer.json, plan.toml, tables of purchases and replicas, charts, program."""

from pathlib import Path

from codesign.facts.cells import csv_text
from codesign.fleet.answer import FleetAnswer
from codesign.fleet.best_fleet import FleetResult
from codesign.output import fleet_chart
from codesign.output.files import write_folder
from formulations import fleet
from formulations.fleet import stochastic
from formulations.solvers import highs

FILES = ("answer.json", "plan.toml", "purchases.csv", "replicas.csv", "program.lp", "program.mps", *fleet_chart.FILES)
PURCHASES = ("period", "year", "chip", "bought", "retired", "ended", "owned", "chips", "used", "spare", "racks",
             "power_w", "capital_usd", "cost_usd")  # fmt: skip
REPLICAS = ("workload", "input", "output", "phase", "chip", "tensor", "data", "pipeline", "expert", "weights", "kv",
            "batch", "meets", "replicas", "chips_per_replica", "parcels", "size", "requests", "user_speed",
            "ttft_s")  # fmt: skip


def write_fleet(folder: Path, result: FleetResult, own: Path | None = None) -> None:
    """Write the folder whole or not at all; a plan without a fleet has neither tables, charts nor program."""

    def fill(stage: Path) -> None:
        (stage / "answer.json").write_text(result.answer.document() + "\n", encoding="utf-8")
        note = "" if own is None else f"# asked with a catalogue of one's own: --catalog {own}\n"
        (stage / "plan.toml").write_text(note + result.prepared.plan.as_toml(), encoding="utf-8")
        if not result.answer.periods:
            return
        (stage / "purchases.csv").write_text(purchases(result.answer), encoding="utf-8")
        (stage / "replicas.csv").write_text(replicas(result.answer), encoding="utf-8")
        fleet_chart.write_charts(stage, result.answer)
        _write_programs(stage, result)

    write_folder(folder, fill, FILES)


def purchases(answer: FleetAnswer) -> str:
    """What is bought, given up and owned of each kind in each period, SI."""
    return csv_text(PURCHASES, (
        (period.name, period.year, *(getattr(kind, name) for name in PURCHASES[2:]))
        for period in answer.periods for kind in period.kinds
    ))  # fmt: skip


def replicas(answer: FleetAnswer) -> str:
    """Every replica group of each period, SI."""
    return csv_text(("period", *REPLICAS), (
        (period.name, *(getattr(one, name) for name in REPLICAS))
        for period in answer.periods for one in period.replicas
    ))  # fmt: skip


def _write_programs(folder: Path, result: FleetResult) -> None:
    """Both files; read back, their optimum is the answer's (a ratio: N - lambda * D at the ratio found, 0)."""
    data, value = result.instance, result.solved.outcome.value
    ratio = data.objective == "ratio"
    lam = float(value) if ratio and value is not None else 0.0
    header = [f"fleet, objective {data.objective}, {len(data.columns)} columns",
              "units: requests/s, thousands of dollars, kW, years, thousands of tokens",
              f"{'lambda' if ratio else 'value'} = {value!r}"]  # fmt: skip
    several = result.solved.several
    program = highs.load(fleet.build(data, lam=lam) if several is None else stochastic.build(several, lam=lam))
    for name in ("program.lp", "program.mps"):
        highs.write(program, folder / name, header)
