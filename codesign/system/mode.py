"""Which mode answers a query, and its precisions as the model ships: what a query left open, settled once."""

from codesign.facts.catalog import Catalog
from codesign.facts.errors import DataError
from codesign.facts.reading import shown
from codesign.facts.records import AchievedRecord, ModelRecord
from codesign.system.query import Query

LATENT = " latent"  # ends the key of a release on models with latent attention, see `prediction.release_key`
NATIVE = {"bf16": "bf16", "fp8": "fp8", "mxfp4": "fp4"}


def settled(catalog: Catalog, query: Query) -> Query:
    """The query with its mode, and with `native` replaced by the precision that the model ships in.

    Mode achieved needs chips with measured runs: it is taken where only products are allowed and one of them has
    runs, and where the query asks for what it alone knows.
    """
    model = catalog.get(ModelRecord, query.model)
    check_context(model, query.context, "context")
    shipped = NATIVE[model.native]
    precision = tuple(dict.fromkeys(shipped if p == "native" else p for p in query.precision))
    changed = {"mode": query.mode or _mode(catalog, query), "precision": precision}
    if changed["mode"] == "achieved":
        check_release(catalog, query.engine, query.release, "serving.release")
    return Query.model_validate({**query.model_dump(by_alias=True, exclude_none=True), **changed})


def check_context(model: ModelRecord, tokens: float, said: str) -> None:
    """Raise DataError where a user's tokens are more than the model takes; `said` is the key or options."""
    if tokens > model.context:
        raise DataError(f"{said} = {tokens:,.0f} tokens: {model.name} takes at most {model.context:,}; "
                        f"--assume models.{model.name}.context=TOKENS where it is served with more")  # fmt: skip


def check_release(catalog: Catalog, engine: str, release: str, said: str) -> None:
    """Raise DataError where a release is given and is none that was measured of this engine."""
    measured = (name.removesuffix(LATENT) for name in catalog.get(AchievedRecord, "default").release)
    known = sorted({name for name in measured if name.split()[0] == engine})
    if release and release not in known:
        raise DataError(f"{said} = {shown(release)}: no release of {engine} that was measured; known: "
                        f"{', '.join(known)}; left out, it is the mean of the engine's")  # fmt: skip


def _mode(catalog: Catalog, query: Query) -> str:
    if query.limits.ttft is not None or any(value is not None for _, value in query.serving):
        return "achieved"
    products = set(catalog.records["chips"])
    names = set(query.allow.chips) or products
    measured = names & set(catalog.get(AchievedRecord, "default").fit.chips)
    return "achieved" if _products_only(query, products) and measured else "limit"


def _products_only(query: Query, products: set[str]) -> bool:
    return query.hardware == "catalogue" or (bool(query.allow.chips) and set(query.allow.chips) <= products)

