"""Which mode answers a query, and its precisions as the model ships: what a query left open, settled once."""

from codesign.catalog import Catalog
from codesign.query import Query
from codesign.records import AchievedRecord, ModelRecord

NATIVE = {"bf16": "bf16", "fp8": "fp8", "mxfp4": "fp4"}


def settled(catalog: Catalog, query: Query) -> Query:
    """The query with its mode, and with `native` replaced by the precision that the model ships in.

    Mode achieved needs chips with measured runs: it is taken where only products are allowed and one of them has
    runs, and where the query asks for what it alone knows.
    """
    shipped = NATIVE[catalog.get(ModelRecord, query.model).native]
    precision = tuple(dict.fromkeys(shipped if p == "native" else p for p in query.precision))
    changed = {"mode": query.mode or _mode(catalog, query), "precision": precision}
    return Query.model_validate({**query.model_dump(by_alias=True, exclude_none=True), **changed})


def _mode(catalog: Catalog, query: Query) -> str:
    if query.limits.ttft is not None or any(value is not None for _, value in query.serving):
        return "achieved"
    products = set(catalog.records["chips"])
    names = set(query.allow.chips) or products
    measured = names & set(catalog.get(AchievedRecord, "default").fit.chips)
    return "achieved" if _products_only(query, products) and measured else "limit"


def _products_only(query: Query, products: set[str]) -> bool:
    return query.hardware == "catalogue" or (bool(query.allow.chips) and set(query.allow.chips) <= products)

