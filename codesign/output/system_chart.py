"""Charts of one system: the best of each memory technology, and where the money goes."""

from typing import Any

import altair as alt

from codesign.system.answer import Answer


def charts(answer: Answer) -> dict[str, Any]:
    """Altair charts by name; none without a system."""
    if answer.proof is None or answer.money is None:
        return {}
    unit = answer.proof.unit
    rows = [{"memory": one.label, "system": f"{one.chip} {one.layout}", "value": one.value}
            for one in answer.others if one.value is not None]  # fmt: skip
    memories = (
        alt.Chart(alt.InlineData(values=rows), title=f"Best of each memory technology, {answer.proof.objective}")
        .mark_bar()
        .encode(x=alt.X("value:Q", title=unit), y=alt.Y("memory:N", sort=None, title=None),
                tooltip=["memory:N", "system:N", "value:Q"])
    )  # fmt: skip
    parts = [{"part": name, "usd_per_h": value} for name, value in answer.money.hourly.items()]
    money = (
        alt.Chart(alt.InlineData(values=parts), title="Dollars an hour by part")
        .mark_bar()
        .encode(x=alt.X("usd_per_h:Q", title="USD/h"), y=alt.Y("part:N", sort="-x", title=None))
    )
    return {"memories": memories, "money": money}
