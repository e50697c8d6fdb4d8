"""Two pools on the terminal: the one that computes prompts, the one that decodes, and the transfer between them."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from codesign.facts.units import show
from codesign.output.text import count, pairs, section
from codesign.system.answer import Answer, PerformancePart, PrefillPart, SystemPart, TransferPart

POINTS = "pairs of columns with their replicas"


def render(answer: Answer) -> Iterator[RenderableType]:
    """A headline, a block for each pool, and the transfer."""
    first, last, performance, transfer = answer.prefill, answer.system, answer.performance, answer.transfer
    if first is None or last is None or performance is None or transfer is None:
        raise ValueError("an answer of two pools without one of its parts")
    proven = "" if answer.status == "optimal" else " (best found; not proven in the time given)"
    yield Text(f"{performance.requests or 0.0:,.4g} requests/s, {performance.throughput:,.0f} tokens/s{proven}",
               style="bold")  # fmt: skip
    prefill = pairs([*_system(first, first.memory_bytes, first.usable_bytes), *_first(first)])
    yield from section(f"Prefill pool: {_headline(first)}", prefill)
    decode = pairs([*_system(last, performance.memory_bytes, performance.usable_bytes), *_decode(last, performance)])
    yield from section(f"Decode pool: {_headline(last)}", decode)
    yield from section("Transfer of KV caches", pairs(_transfer(transfer)))


def _headline(s: SystemPart) -> str:
    data = f" DP{s.data}" if s.data > 1 else ""
    replicas = count(s.replicas, "replica")
    return f"{s.chips_bought} x {s.title}, {s.memory.upper()}: {replicas} of TP{s.tensor}{data} PP{s.pipeline}"


def _system(s: SystemPart, used: float, usable: float) -> list[tuple[str, str]]:
    made = " (composed, not a product)" if s.composed else ""
    stacks = "" if s.stacks is None else f", {s.stacks} stacks a chip"
    data = "" if s.data == 1 else f" x data {s.data}"
    spare = "" if s.servers == s.servers_bought else f", {s.servers_bought - s.servers} of them spare"
    return [
        ("chip", f"{s.chip}{made}; {s.memory}{stacks}; {show(used, 'B')} of {show(usable, 'B')} used on the fullest"),
        ("layout", f"{count(s.chips_per_replica, 'chip')} a replica: tensor {s.tensor}{data} x pipeline {s.pipeline}, "
                   f"expert {s.expert}, weights {s.weights}, KV {s.kv}"),
        ("replicas", f"{s.replicas:,} on {count(s.servers_bought, 'server')} ({count(s.chips_bought, 'chip')}){spare}"),
    ]  # fmt: skip


def _first(p: PrefillPart) -> list[tuple[str, str]]:
    return [
        ("prompts", f"one takes {show(p.prompt_s, 's')}, the next begins after {show(p.interval_s, 's')}; replicas "
                    f"work {p.utilisation:.1%} of the time, at most {p.utilisation_cap:.1%}"),
        ("first token", f"{show(p.ttft_s, 's')}: engine {show(p.fixed_s, 's')}, prompt {show(p.prompt_s, 's')}, "
                        f"wait {show(p.wait_s, 's')}, cache sent {show(p.send_s, 's')}"),
        ("statistic", p.statistic),
    ]  # fmt: skip


def _decode(s: SystemPart, p: PerformancePart) -> list[tuple[str, str]]:
    shares = ", ".join(f"{name} {x:.0%}" for name, x in sorted(p.shares.items(), key=lambda x: -x[1]) if x > 0)
    band = ""
    if p.step_band_s is not None:
        band = "; 80 % of runs within " + " to ".join(show(x, "s") for x in p.step_band_s)
    return [
        ("users", f"{p.users:,} at once, room for {s.users_per_replica * s.replicas:,}; batch of {s.batch} a stage, "
                  f"limited by {p.batch_limited_by}"),
        ("speed", f"{p.user_speed:,.1f} tokens/s a user"),
        ("each token", f"{show(p.step_s, 's')} on average{band}"),
        ("made of", shares),
    ]  # fmt: skip


def _transfer(t: TransferPart) -> list[tuple[str, str]]:
    return [
        ("a request", show(t.bytes_per_request, "B")),
        ("all", f"{show(t.used, 'B/s')}; the prefill pool can send {show(t.sending, 'B/s')}, the decode pool receive "
                f"{show(t.receiving, 'B/s')}"),
    ]  # fmt: skip
