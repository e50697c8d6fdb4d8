"""Two pools: candidates.csv with the columns of both, and the last program solved as model.lp and model.mps."""

from pathlib import Path

from codesign.facts.cells import csv_text
from codesign.system.key import weights_of
from codesign.system.pools import undominated
from codesign.system.pools_bounds import DOMINATED, bounds
from codesign.system.prepared import PreparedPools, SolvedPools
from formulations import disaggregated
from formulations.solvers import highs

HEADER = ("column", "pool", "chip", "memory", "stacks", "tensor", "data", "pipeline", "expert", "weights", "kv",
          "batch", "users", "requests_per_s", "utilisation", "link_bytes_per_s", "requests_per_s_per_user", "bound",
          "unit", "removed")  # fmt: skip




def pool_candidates(p: PreparedPools, solved: SolvedPools, *, removal: bool = True) -> str:
    """The table as text, each pool's fastest column first; `column` is the label in the program's names."""
    known, kept, start = bounds(p, removal=removal)
    pools, best = p.pools, set(undominated(p.pools).tolist())
    rows: list[tuple[object, ...]] = []
    for c in sorted(range(len(pools)), key=lambda c: (c >= pools.split, -float(pools.handled[c]), c)):
        at = int(pools.layout[c])
        chip, layout, batch = pools.decode.chips[int(pools.chip[c])], pools.decode.layout(at), int(pools.batch[c])
        bound, reason = known.get(c), ""
        if c not in kept:
            reason = f"bound cannot beat {start!r}" if c in best else DOMINATED
            reason = "no pair with it is within the limits" if c in known and bound is None else reason
        rows.append((
            c, "prefill" if c < pools.split else "decode", chip.name, chip.memory, chip.stacks or "", layout.tensor,
            layout.data, layout.pipeline, layout.expert, weights_of(layout), layout.kv, batch, batch * layout.pipeline,
            repr(float(pools.speed[c])), repr(float(pools.cap[c])), repr(float(pools.link[c])),
            repr(float(pools.pace[c])), "" if bound is None else repr(bound), p.query.objective.unit, reason,
        ))  # fmt: skip
    return csv_text(HEADER, rows)


def write_pool_programs(folder: Path, solved: SolvedPools, *, removal: bool) -> None:
    """Write both files; read back, their optimum is N - lambda * D of the answer (ratio objectives)."""
    data, outcome = solved.instance, solved.outcome
    if removal and len(solved.proof.sweep.kept):
        data = data.only(solved.proof.sweep.kept)
    ratio = data.objective == "ratio"
    lam = outcome.value if ratio and outcome.value is not None else 0.0
    header = [f"disaggregated, objective {data.objective}, {len(data.columns)} columns",
              "units: requests/s, GB, thousands of dollars, dollars per hour, kW"]  # fmt: skip
    if ratio and outcome.solution is not None:
        numerator, denominator = outcome.solution.rate, disaggregated.paid(data, outcome.solution)
        header += [f"lambda = {lam!r}", f"ratio = {numerator / denominator!r}", f"N = {numerator!r}",
                   f"D = {denominator!r}", f"N - lambda * D = {numerator - lam * denominator!r}"]  # fmt: skip
    elif outcome.solution is not None:
        header.append(f"optimum = {outcome.value!r}")
    program = highs.load(disaggregated.build(data, lam=float(lam)))
    for name in ("model.lp", "model.mps"):
        highs.write(program, folder / name, header)
