"""From a measured table and a demand to the question: which kinds there are, and what they serve."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from codesign.facts.errors import DataError
from codesign.facts.units import show
from codesign.mix.demand import BucketDemand, Demand
from codesign.mix.profile import Profile, Row
from codesign.mix.question import Bucket, Kind, Mix, decimal
from codesign.mix.question import faults as senseless

SLICES = 8  # of a bucket, where nobody says otherwise


@dataclass(frozen=True)
class Options:
    """What goes before the demand's file: slices of every bucket, speed, the whole rate, replicas to be had."""

    slices: int | None = None
    fractional: bool = False
    speed: float | None = None
    rate: float | None = None
    available: Mapping[str, int] = field(default_factory=dict)


def mix_of(profile: Profile, demand: Demand | None, options: Options) -> tuple[Mix, tuple[str, ...]]:
    """The question, and notes on what was chosen for it. Raises DataError with all that does not go together."""
    asked, scale, notes = _asked(profile, demand, options)
    given = {**(demand.available if demand else {}), **options.available}
    first: dict[tuple[str, str, str], Row] = {}
    for row in profile.rows:
        first.setdefault(row.kind, row)
    names = _names(list(first))
    same = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    faults = [f"{profile.file}: two kinds would be called {name!r}; name chip and layout apart" for name in same]
    faults += [f"available: {name!r} is no kind of the table; there are: {', '.join(names.values())}"
              for name in given if name not in names.values()]  # fmt: skip
    known = profile.buckets()
    there = ", ".join(_label(*pair) for pair in known)
    faults += [f"bucket {_label(b.model, b.name)!r} is not in {profile.file}; there are: {there}"
               for b in asked if (b.model, b.name) not in known]  # fmt: skip
    if any(_speed(b, demand, options) for b in asked) and not profile.speeds:
        faults.append(f"a speed is asked, but {profile.file} has no column speed")
    if faults:
        raise DataError("\n".join(faults))
    kinds = tuple(Kind(names[key], row.chip, row.layout, row.model, row.price, given.get(names[key], row.available))
                  for key, row in first.items())  # fmt: skip
    served = {(i, list(first).index(kind)): rate for i, b in enumerate(asked)
              for kind, rate in _fastest(profile, b, _speed(b, demand, options)).items()}  # fmt: skip
    buckets = tuple(Bucket(b.name, b.model, _rate(b, scale), _slices(b, demand, options),
                           _speed(b, demand, options), _most_speed(profile, b)) for b in asked)  # fmt: skip
    mix = Mix(kinds, buckets, served, options.fractional)
    if wrong := senseless(mix):
        raise DataError("\n".join(wrong))
    if left := [_label(*pair) for pair in known if pair not in {(b.model, b.name) for b in asked}]:
        notes.append(f"buckets of the table without a demand: {', '.join(left)}")
    return mix, (*notes, *_speeds(asked, demand, options, profile))


def _asked(
    profile: Profile, demand: Demand | None, options: Options
) -> tuple[tuple[BucketDemand, ...], Fraction, list[str]]:
    """Buckets, what their rates or shares are multiplied by, and notes."""
    if demand is None:
        if options.rate is None:
            raise DataError("--demand FILE.toml or .csv is needed, or --rate for equal shares of the table's buckets")
        known = profile.buckets()
        equal = tuple(BucketDemand(name=bucket, model=model, share=1.0) for model, bucket in known)
        return equal, decimal(options.rate) / len(known), ["every bucket of the table has the same share of --rate"]
    shares = demand.bucket[0].share is not None
    total = options.rate if options.rate is not None else demand.requests_per_s
    if shares and total is None:
        raise DataError("requests_per_s: needed, in the demand's file or as --rate, where buckets have shares")
    if shares:
        return demand.bucket, decimal(total or 0.0), []
    if options.rate is None:
        return demand.bucket, Fraction(1), []
    whole = sum((decimal(b.requests_per_s or 0.0) for b in demand.bucket), Fraction(0))
    if whole == 0:
        raise DataError("--rate: the demand's rates are all 0, so that they have no shares of it")
    note = f"rates of the demand are scaled to {options.rate:g} requests/s"
    return demand.bucket, decimal(options.rate) / whole, [note]


def _rate(bucket: BucketDemand, scale: Fraction) -> Fraction:
    return decimal(bucket.share if bucket.share is not None else bucket.requests_per_s or 0.0) * scale


def _slices(bucket: BucketDemand, demand: Demand | None, options: Options) -> int:
    if options.fractional:
        return 1
    return options.slices or bucket.slices or (demand.slices if demand else None) or SLICES


def _speed(bucket: BucketDemand, demand: Demand | None, options: Options) -> float | None:
    return options.speed or bucket.speed or (demand.speed if demand else None)


def _most_speed(profile: Profile, bucket: BucketDemand) -> float | None:
    asked = bucket.model, bucket.name
    speeds = [row.speed for row in profile.rows if (row.model, row.bucket) == asked and row.rate > 0]
    return max((speed for speed in speeds if speed is not None), default=None)


def _fastest(profile: Profile, bucket: BucketDemand, speed: float | None) -> dict[tuple[str, str, str], float]:
    """Most requests/s of each kind on a bucket, of the rows that give users the speed."""
    best: dict[tuple[str, str, str], float] = {}
    for row in profile.rows:
        slow = speed is not None and (row.speed is None or row.speed < speed)
        if (row.model, row.bucket) == (bucket.model, bucket.name) and row.rate > 0 and not slow:
            best[row.kind] = max(row.rate, best.get(row.kind, 0.0))
    return best


def _speeds(
    asked: tuple[BucketDemand, ...], demand: Demand | None, options: Options, profile: Profile
) -> tuple[str, ...]:
    speeds = sorted({speed for b in asked if (speed := _speed(b, demand, options))})
    if speeds:
        return (f"users get at least {' or '.join(show(s, 'tokens/s') for s in speeds)}, as asked for each bucket",)
    if not profile.speeds:
        return ()
    return ("no speed is asked: of rows that differ in speed the one with most requests/s counts",)


def _names(kinds: list[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
    """ "chip layout", with the model in front where two kinds would have the same name."""
    short = {kind: " ".join(part for part in kind[1:] if part) for kind in kinds}
    twice = {name for name in short.values() if list(short.values()).count(name) > 1}
    return {kind: f"{kind[0]}: {name}" if name in twice else name for kind, name in short.items()}


def _label(model: str, bucket: str) -> str:
    return f"{model}: {bucket}" if model else bucket
