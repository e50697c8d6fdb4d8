"""Which results of the Kitsune study do we meet, which do we miss, and why?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from codesign.facts.document import Part
from codesign.facts.paper_records import Headline

CONTEXT = "llama3-8b-context"
CLOSE = {"dlrm": 0.05, "nerf": 0.05, "graphcast": 2.5, "meshgraphnets": 2.5}  # points of traffic
REASONS = {
    "inference": "it follows the time between kernels and the share of peak in a stage; see each application",
    "subgraphs": "the zero-latency model has no fill: groups of a thousand rows, which last a microsecond or less, "
                 "gain their kernel launches and weigh as much as large ones; with fill and queue cost the mean is "
                 "{queued:.2f}",
    "nerf": "an application of many small kernels gains more from saved launches than NeRF does from traffic",
    "context": "sequence length and attention of the study are not known; ours are a choice",
    "vertical": "launches saved in whole MLPs as one kernel weigh more in our model",
    "training": "gradients of small graphs gain launches, those of large ones traffic; see each application",
    "traffic": "the study's sample sizes are not known; ours were rebuilt from its counts",
    "simulation": "back-pressure stalls a stage where the closed form has none",
}  # fmt: skip


class Check(Part):
    """One target: what we have, what is asked, and whether it is met."""

    name: str
    ours: float
    least: float | None = Field(description="asked for, inclusive; null: no lower limit")
    most: float | None
    hit: bool
    reason: str = Field(default="", description="of a miss")


@dataclass(frozen=True)
class Facts:
    """What is checked: speed-ups by application, means, cells of inference by (application, what)
    as (study, ours), and errors of the simulation relative to the prediction."""

    inference: Mapping[str, float]
    training: Mapping[str, float]
    means: Mapping[str, float]
    cells: Mapping[tuple[str, str], tuple[float, float]]
    simulation_errors: Sequence[float]


def checks(facts: Facts, study: Headline) -> Iterator[Check]:
    """All targets, in the order of the study's claims."""
    mean, queued = facts.means, facts.means["inference, sub-graphs with fill and queues"]
    yield _near("inference, geometric mean", mean["inference, Kitsune"], study.inference_mean.si, 0.20, "inference")
    yield _near("sub-graphs, geometric mean", mean["inference, sub-graphs"], study.subgraph_mean.si, 0.20,
                "subgraphs", queued=queued)  # fmt: skip
    ranks = sorted(facts.inference.values(), reverse=True)
    rank = 1 + ranks.index(facts.inference["nerf"])
    yield _check("NeRF, rank among the speed-ups of inference", rank, None, 2, "nerf")
    rank = 1 + sorted(facts.inference.values()).index(facts.inference[CONTEXT])
    yield _check("Llama context, rank from the smallest", rank, None, 1, "context")
    yield _check("Llama context, speed-up", facts.inference[CONTEXT], None, 1.15, "context")
    yield _near("vertical fusion, geometric mean", mean["inference, vertical fusion"], study.vertical_mean.si, 0.15,
                "vertical")  # fmt: skip
    yield _check("training, largest speed-up", max(facts.training.values()), 1.8, 2.6, "training")
    for app, points in CLOSE.items():
        for what in ("vertical traffic cut", "Kitsune traffic cut"):
            printed, ours = facts.cells[app, what]
            yield _check(f"{app}, {what} (points)", ours, printed - points, printed + points, "traffic")
    if facts.simulation_errors:
        worst = max(facts.simulation_errors)
        yield _check("simulation against prediction, largest error", worst, None, 0.05, "simulation")


def _near(name: str, ours: float, printed: float, share: float, reason: str, **values: float) -> Check:
    return _check(name, ours, printed * (1 - share), printed * (1 + share), reason, **values)


def _check(name: str, ours: float, least: float | None, most: float | None, reason: str, **values: float) -> Check:
    hit = (least is None or ours >= least) and (most is None or ours <= most)
    why = "" if hit else REASONS[reason].format(**values)
    return Check(name=name, ours=ours, least=least, most=most, hit=hit, reason=why)
