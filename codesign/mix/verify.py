"""Does a recorded mix of replicas still do what its answer says? Every slice and dollar again, without a solver."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from codesign.facts.catalog import faults_of, load
from codesign.facts.errors import AuditError, DataError
from codesign.facts.reading import toml_of
from codesign.fleet.reading import checked
from codesign.mix import audit, recount
from codesign.mix.answer import MixAnswer, MixProofPart
from codesign.mix.cheapest_mix import assumptions_of, served, singles_of
from codesign.mix.demand import Demand, read_demand
from codesign.mix.from_plan import demand_of
from codesign.mix.measured import Options, mix_of
from codesign.mix.profile import read_profile
from codesign.mix.published import mix_of as published_mix
from codesign.mix.published import read_published
from codesign.mix.question import Mix
from codesign.system import rebuilt
from codesign.system.answer_parts import version_of
from codesign.system.audit import AGREE
from codesign.system.verify import Report, recounted

SERVED = ("kinds", "shares", "cost_usd_per_h", "usd_per_million_requests", "proof")
FILES = {"instance": "sha256", "profile": "profile_sha256", "demand": "demand_sha256"}


def verify(document: dict[str, Any], path: Path, own: Path | None) -> Report:
    """A mix of replicas by a measured table: every slice, load and dollar of the record again."""
    answer, mix, changed = read(document, path, own)
    return recounted(answer.proof, faults(answer, mix), changed,
                     "every slice, load and dollar recomputed from its files", behind="the files")  # fmt: skip


def read(document: dict[str, Any], path: Path, own: Path | None) -> tuple[MixAnswer, Mix, tuple[str, ...]]:
    """The answer, its question out of the files that it names, and which of these have changed.

    A file is looked for where it was named, then beside the answer, as itself and as the copy of an export.
    Raises DataError for what is no answer, and
    for files that are not there.
    """
    try:
        answer = MixAnswer.model_validate(document)
    except ValidationError as error:
        raise DataError("\n".join(faults_of(error, str(path), MixAnswer))) from error
    asked = answer.query
    files = {key: _file(asked, key, f"{path}: query.{key}", path.parent) for key in FILES if asked.get(key)}
    try:
        mix = _question(answer, files, f"{path}: query", own)
    except (KeyError, TypeError, ValidationError) as error:
        raise DataError(f"{path}: query: does not say how the mix was asked for: {error}") from error
    changed = (f"{file} has other content than when the answer was made" for key, file in files.items()
               if hashlib.sha256(file.read_bytes()).hexdigest() != asked.get(FILES[key]))  # fmt: skip
    return answer, mix, tuple(changed)


def _file(asked: Mapping[str, Any], key: str, where: str, beside: Path) -> Path:
    name = Path(str(asked[key]))
    found = [file for file in (name, beside / name.name, beside / f"{key}{name.suffix}") if file.is_file()]
    if not found:
        raise DataError(f"{where} = {asked[key]!r}: no such file, here or beside the answer; verify where it was asked")
    return found[0]


def _question(answer: MixAnswer, files: dict[str, Path], where: str, own: Path | None) -> Mix:
    asked = answer.query
    if "instance" in files:
        return published_mix(read_published(files["instance"], asked.get("name")), where=str(files["instance"]),
                             slices=asked.get("slices"), fractional=answer.fractional)  # fmt: skip
    if "profile" not in files:
        raise DataError(f"{where}: names neither a profile nor an instance")
    options = Options(asked.get("slices"), answer.fractional, **asked["options"])
    return mix_of(read_profile(files["profile"]), _demand(asked, files, where, own), options)[0]


def _demand(asked: dict[str, Any], files: dict[str, Path], where: str, own: Path | None) -> Demand | None:
    if "plan_toml" in asked:
        table = toml_of(asked["plan_toml"], f"{where}.plan_toml")
        return demand_of(checked(load(own), table, f"{where}.plan_toml"), asked.get("period"))
    return read_demand(files["demand"]) if "demand" in files else None


UNSEEN: Mapping[str, str] = MappingProxyType({
    "status": "held against the bound and the exact recount, not made again",
    "query": "files and options: the question itself is made again from them",
    "versions": "of the programs that answered then",
    "assumptions": "after the first ones, which are compared, notes on the files",
    "in_the_way": "of another program's proof",
    "cures": "each is another program's optimum",
    "proof.bound": "the solver's; value, gap and status must agree with it",
    "proof.rounded": "a fleet before any program; no dearer one is below the value",
    "proof.floor": "of another program; not above the bound",
    "proof.pairs": "of the last program", "proof.removed": "of the last program", "proof.fleets": "of the search",
    "proof.solves": "of the search", "proof.nodes": "the solver's own",
})


def faults(answer: MixAnswer, mix: Mix) -> tuple[list[str], float | None]:
    """What disagrees with the record, and $/h now."""
    if answer.proof is None:
        return _compared(answer, mix, {}) + _without(answer, mix), None
    found: list[str] = []
    kinds = {kind.name: g for g, kind in enumerate(mix.kinds)}
    buckets = {(bucket.name, bucket.model): b for b, bucket in enumerate(mix.buckets)}
    strange = [f"{k.name!r} is no kind of the table" for k in answer.kinds if k.name not in kinds]
    strange += [f"{s.kind!r} serves bucket {s.bucket!r}: not in the table or the demand" for s in answer.shares
                if s.kind not in kinds or (s.bucket, s.model) not in buckets]  # fmt: skip
    if strange:
        return found + strange, None
    counts = dict.fromkeys(kinds.values(), 0) | {kinds[k.name]: k.count for k in answer.kinds}
    assign = {(buckets[s.bucket, s.model], kinds[s.kind]): s.slices for s in answer.shares}
    if len(assign) < len(answer.shares):
        found.append("a bucket's share of one kind is named twice")
    try:
        met = audit.recompute(mix, counts, assign)
        audit.check(mix, met, value=float(met.cost), bound=answer.proof.bound, optimal=answer.status == "optimal")
    except AuditError as error:
        own = {name: getattr(answer, name) for name in SERVED}
        return [*found, str(error), *_compared(answer, mix, own)], None
    now = served(mix, counts, assign, met)
    cost, bound = float(met.cost), answer.proof.bound
    gap = None if bound is None else (cost - bound) / cost if cost else 0.0
    now["proof"] = answer.proof.model_copy(update={"value": cost, "gap": gap})
    return found + _compared(answer, mix, now) + _proof_faults(answer.proof, cost), cost


def _compared(answer: MixAnswer, mix: Mix, now: Mapping[str, Any]) -> list[str]:
    """Every field beside the document made again but for `UNSEEN`."""
    said = assumptions_of(mix)
    again = MixAnswer(
        status=answer.status, query=answer.query, requests_per_s=float(sum(bucket.rate for bucket in mix.buckets)),
        fractional=mix.fractional, singles=singles_of(mix), versions=answer.versions, **now,
    )  # fmt: skip
    found, _ = rebuilt.compared(answer, again, unseen=UNSEEN, same_catalogue=True, same_version=True)
    if answer.versions.get("codesign") == version_of("codesign") and answer.assumptions[: len(said)] != said:
        found.append(f"assumptions begin with {said!r}, recorded are {answer.assumptions!r}")
    return found


def _proof_faults(proof: MixProofPart, cost: float) -> list[str]:
    """What lies below every fleet, and above the best."""
    found = []
    if proof.floor is not None and proof.floor > cost * (1 + AGREE):
        found.append(f"proof.floor {proof.floor!r} is above the cost {cost!r}")
    if proof.rounded is not None and proof.rounded < cost * (1 - AGREE):
        found.append(f"proof.rounded {proof.rounded!r} is below the cost {cost!r}")
    return found


def _without(answer: MixAnswer, mix: Mix) -> list[str]:
    """What would serve the demand where the answer says that nothing does."""
    if answer.status != "infeasible":
        return []
    alone = [f"{one[0]} replicas of {kind.name} alone serve the demand"
             for kind, one in zip(mix.kinds, mix.alone, strict=True)
             if one is not None and (kind.available is None or one[0] <= kind.available)]  # fmt: skip
    other = recount.cheapest(mix)
    if other is not None and not alone:
        alone = [", ".join(f"{n} x {name}" for name, n in other[1].items()) + " serve the demand"]
    unlimited = not mix.unserved() and all(kind.available is None for kind in mix.kinds)
    return alone or (["every bucket is served by some kind, and no kind is limited"] if unlimited else [])
