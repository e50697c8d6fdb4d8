"""A folder with everything about a fleet: answer.json, plan.toml, tables of purchases and replicas, charts, program."""

from pathlib import Path

from codesign.facts.cells import csv_text
from codesign.fleet.answer import FleetAnswer
from codesign.fleet.best_fleet import FleetResult
from codesign.output.drawing import pictures
from codesign.output.files import Content, own_note, write_files
from codesign.output.fleet_chart import CHARTS, charts
from codesign.output.program import programs
from formulations import fleet
from formulations.fleet import stochastic

PURCHASES = ("period", "year", "chip", "bought", "retired", "ended", "owned", "chips", "used", "spare", "racks",
             "power_w", "capital_usd", "cost_usd")  # fmt: skip
REPLICAS = ("workload", "input", "output", "phase", "chip", "tensor", "data", "pipeline", "expert", "weights", "kv",
            "batch", "meets", "replicas", "chips_per_replica", "parcels", "size", "requests", "user_speed",
            "ttft_s")  # fmt: skip


def write_fleet(folder: Path, result: FleetResult, own: Path | None = None) -> None:
    """Write the folder whole or not at all; a plan without a fleet has neither tables, charts nor program."""
    answer = result.answer
    found = bool(answer.periods)
    write_files(folder, {
        "answer.json": answer.document() + "\n",
        "plan.toml": own_note(own) + result.prepared.plan.as_toml(),
        "purchases.csv": purchases(answer) if found else None,
        "replicas.csv": replicas(answer) if found else None,
        **pictures(dict.fromkeys(CHARTS) | charts(answer)),
        **(_programs(result) if found else programs("program", None)),
    })  # fmt: skip


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


def _programs(result: FleetResult) -> dict[str, Content]:
    """Both files; read back, their optimum is the answer's (a ratio: N - lambda * D at the ratio found, 0)."""
    data, value = result.instance, result.solved.outcome.value
    ratio = data.objective == "ratio"
    lam = float(value) if ratio and value is not None else 0.0
    header = [f"fleet, objective {data.objective}, {len(data.columns)} columns",
              "units: requests/s, thousands of dollars, kW, years, thousands of tokens",
              f"{'lambda' if ratio else 'value'} = {value!r}"]  # fmt: skip
    several = result.solved.several
    return programs("program", fleet.build(data, lam=lam) if several is None else stochastic.build(several, lam=lam),
                    header)  # fmt: skip
