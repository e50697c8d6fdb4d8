"""The demand of one period of a fleet plan, by buckets as a measured table names them: "1024/512", in and out."""

from codesign.facts.errors import DataError
from codesign.fleet.plan import Plan
from codesign.mix.demand import BucketDemand, Demand


def demand_of(plan: Plan, period: str | None) -> Demand:
    """Every workload's lengths at its requests/s and user speed.

    Raises DataError for a period that is missing or unknown, and for workloads that ask for different
    speeds in the same bucket of the same model.
    """
    at = _position(plan, period)
    found: dict[tuple[str, str], BucketDemand] = {}
    faults = []
    for name, workload in plan.workloads.items():
        for one in workload.buckets():
            bucket, rate = f"{one.input}/{one.output}", plan.requests(name, at) * one.share
            before = found.get((workload.model, bucket))
            if before is not None and before.speed != workload.user_speed:
                faults.append(f"workloads.{name}: bucket {bucket} of {workload.model} is asked at another speed before")
            rate += 0.0 if before is None else before.requests_per_s or 0.0
            found[workload.model, bucket] = BucketDemand(name=bucket, model=workload.model, requests_per_s=rate,
                                                         speed=workload.user_speed)  # fmt: skip
    if faults:
        raise DataError("\n".join(faults))
    return Demand(bucket=tuple(found.values()))


def unasked(plan: Plan) -> list[str]:
    """What the plan says that a measured table is not asked: all but models, lengths, requests and user speeds."""
    said = [f"limits.{key}" for key, value in plan.limits.model_dump(exclude_none=True).items() if value]
    said += [f"installed.{chip}" for chip in plan.installed]
    said += [name for name in ("allow", "forbid") if any(getattr(plan, name).model_dump().values())]
    said += [name for name in ("scenarios", "survive") if getattr(plan, name)]
    said += [f"workloads.{name}.{key}" for name, one in plan.workloads.items() for key in ("ttft", "share")
             if key in one.model_fields_set]  # fmt: skip
    return said


def _position(plan: Plan, period: str | None) -> int:
    names = list(plan.periods)
    if period is None and len(names) == 1:
        return 0
    if period not in names:
        said = "is missing" if period is None else f"= {period!r} is no period of the plan"
        raise DataError(f"--period {said}; a measured table is asked for one period, there are: {', '.join(names)}")
    return names.index(period)
