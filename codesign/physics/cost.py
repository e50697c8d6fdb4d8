"""What silicon, packages and systems cost: wafers to a sold chip, a server to dollars an hour.

Manufacturing follows public chiplet models: dies on a wafer and negative binomial yield as in
Chiplet Actuary (Feng and Ma, DAC 2022) and TTM-CAS (Princeton). Money is undiscounted USD of the
catalogue's dates; a year is 8760 hours.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from codesign.physics.hardware import Chip, Die, MemoryTechnology, Package, Process

Basis = Literal["buy", "hyperscaler", "rent"]
PriceBasis = Literal["sold", "cost"]
BASES, PRICE_BASES = get_args(Basis), get_args(PriceBasis)
T = TypeVar("T")

HOURS_PER_YEAR = 8760.0
SECONDS_PER_HOUR = 3600.0


def dies_per_wafer(area_m2: float, diameter_m: float) -> float:
    """Gross dies of `area_m2` on a round wafer: area over area less the partial dies at the rim.

    pi (d/2)^2 / A - pi d / sqrt(2 A), an estimate that need not be whole; scribe lanes are not counted.
    """
    if not (area_m2 > 0 and diameter_m > 0):
        raise ValueError(f"area_m2 = {area_m2}, diameter_m = {diameter_m}: both must be positive")
    gross = math.pi * (diameter_m / 2) ** 2 / area_m2 - math.pi * diameter_m / math.sqrt(2 * area_m2)
    if gross < 1:
        raise ValueError(f"area_m2 = {area_m2}: less than one die fits a wafer of {diameter_m} m")
    return gross


def die_yield(area_m2: float, defects_per_m2: float, clustering: float) -> float:
    """Share of dies without a defect: (1 + A D / alpha)^-alpha, negative binomial with `clustering` alpha."""
    if not (area_m2 > 0 and defects_per_m2 >= 0 and clustering > 0):
        raise ValueError(
            f"area_m2 = {area_m2}, defects_per_m2 = {defects_per_m2}, clustering = {clustering}: "
            "area and clustering must be positive, defects not negative"
        )
    return math.pow(1 + area_m2 * defects_per_m2 / clustering, -clustering)


def sellable_yield(good: float, harvest: float) -> float:
    """Share of dies that sell: the good ones, and `harvest` of the others with units switched off."""
    if not (0 <= good <= 1 and 0 <= harvest <= 1):
        raise ValueError(f"good = {good}, harvest = {harvest}: shares lie in 0..1")
    return good + harvest * (1 - good)


def good_die_usd(area_m2: float, harvest: float, process: Process) -> float:
    """USD of one die that sells: wafer price over sellable dies."""
    gross = dies_per_wafer(area_m2, process.wafer_diameter_m)
    good = die_yield(area_m2, process.defects_per_m2, process.clustering)
    return process.wafer_usd / (gross * sellable_yield(good, harvest))


def manufacturing_usd(
    die: Die, process: Process, package: Package, memory: MemoryTechnology, stacks: int
) -> float | None:
    """USD to make one chip: (dies + stacks + package) / assembly yield + test; None if memory has no price.

    A failed assembly loses the good dies and stacks in it; test is paid once for each chip that sells.
    """
    if memory.price_usd_per_byte is None or memory.capacity_bytes is None:
        return None
    dies_usd = die.dies * good_die_usd(die.area_m2, die.harvest, process)
    stacks_usd = stacks * memory.capacity_bytes * memory.price_usd_per_byte
    return (dies_usd + stacks_usd + package.price_usd) / die.assembly_yield + die.test_usd


def sold_usd(cost_usd: float, margin: float, nre_usd: float, volume: int) -> float:
    """USD a buyer pays: cost at the vendor's gross margin, and a chip's share of the design."""
    if not 0 <= margin < 1:
        raise ValueError(f"margin = {margin}: a gross margin lies in 0..1, below 1")
    return cost_usd / (1 - margin) + nre_usd / volume


@dataclass(frozen=True)
class Economics:
    """Money around the chips, SI except the rates, which are by year (1/years)."""

    network_usd: float            # a chip's share of the scale-out network
    facility_usd_per_w: float     # building per watt of IT power
    electricity_usd_per_j: float
    pue: float                    # power of the building over IT power
    load: float                   # mean draw over provisioned power
    depreciation_years: float     # chips, servers, network
    facility_years: float
    cost_of_money: float          # 1/years
    upkeep: float                 # 1/years, of all capital
    utilisation: float            # share of hours at the stated load


@dataclass(frozen=True)
class ServerBill:
    """One server with its chips. Rented or at a hyperscaler's all-in rate there is no capital: None."""

    chips: int
    power_w: float | None         # IT power provisioned: chips at their TDP, and the server
    chips_usd: float | None
    server_usd: float | None
    network_usd: float | None
    facility_usd: float | None
    hourly: dict[str, float]      # USD/h: chips, server, network, facility, upkeep, electricity; or all-in

    @property
    def capital_usd(self) -> float | None:
        """USD to put the server into operation."""
        parts = (self.chips_usd, self.server_usd, self.network_usd, self.facility_usd)
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    @property
    def hourly_usd(self) -> float:
        """USD of one hour of the server."""
        return sum(self.hourly.values())


def annuity(years: float, rate: float) -> float:
    """Share of capital to pay each year so that it is repaid with interest after `years`.

    >>> annuity(5, 0)
    0.2
    >>> round(annuity(5, 0.08), 4)
    0.2505
    """
    if not (years > 0 and rate >= 0):
        raise ValueError(f"years = {years}, rate = {rate}: years must be positive, rate not negative")
    return 1 / years if rate == 0 else rate / -math.expm1(-years * math.log1p(rate))


def missing(chip: Chip, basis: Basis = "buy", price_basis: PriceBasis = "sold") -> tuple[str, ...]:
    """The unknown numbers of `chip` that its bill on this basis needs, as catalogue names; () if none."""
    if basis not in BASES or price_basis not in PRICE_BASES:
        raise ValueError(
            f"basis = {basis!r}, price_basis = {price_basis!r}: "
            f"known are {BASES} and {PRICE_BASES}"
        )
    if basis == "buy":
        needed = {
            "price" if price_basis == "sold" else "manufacturing_cost": _chip_usd(chip, price_basis),
            "power": chip.power_w,
            "server": chip.server,
        }
        if chip.server is not None:
            needed |= {"server.price": chip.server.price_usd, "server.power": chip.server.power_w}
    else:
        needed = {basis: _chip_hour_usd(chip, basis), "server": chip.server}
    return tuple(name for name, value in needed.items() if value is None)


def server_bill(
    chip: Chip, economics: Economics, *, basis: Basis = "buy", price_basis: PriceBasis = "sold"
) -> ServerBill:
    """What one server full of `chip` costs; ask `missing` first.

    buy: chips at their sold price or at manufacturing cost (one's own silicon, without its design),
    server, network and building repaid with interest, upkeep on all of it, electricity.
    hyperscaler, rent: chips times the all-in price of a chip-hour. Raises ValueError on missing numbers.
    """
    unknown = missing(chip, basis, price_basis)
    if unknown:
        raise ValueError(f"{chip.name}: no bill on basis {basis!r} without {', '.join(unknown)}")
    return _bought(chip, economics, price_basis) if basis == "buy" else _rented(chip, basis)


def _bought(chip: Chip, economics: Economics, price_basis: PriceBasis) -> ServerBill:
    server = _known(chip.server)
    power_w = server.chips * _known(chip.power_w) + _known(server.power_w)
    capital = {
        "chips": server.chips * _known(_chip_usd(chip, price_basis)),
        "server": _known(server.price_usd),
        "network": server.chips * economics.network_usd,
        "facility": economics.facility_usd_per_w * power_w,
    }
    machine_share = annuity(economics.depreciation_years, economics.cost_of_money)
    building_share = annuity(economics.facility_years, economics.cost_of_money)
    yearly = {
        item: usd * (building_share if item == "facility" else machine_share) for item, usd in capital.items()
    }
    yearly["upkeep"] = economics.upkeep * sum(capital.values())
    hourly = {item: usd / HOURS_PER_YEAR for item, usd in yearly.items()}
    drawn_w = power_w * economics.load * economics.pue
    hourly["electricity"] = drawn_w * SECONDS_PER_HOUR * economics.electricity_usd_per_j
    return ServerBill(
        chips=server.chips,
        power_w=power_w,
        chips_usd=capital["chips"],
        server_usd=capital["server"],
        network_usd=capital["network"],
        facility_usd=capital["facility"],
        hourly=hourly,
    )


def _rented(chip: Chip, basis: Basis) -> ServerBill:
    server = _known(chip.server)
    power_w = None
    if chip.power_w is not None and server.power_w is not None:
        power_w = server.chips * chip.power_w + server.power_w
    return ServerBill(
        chips=server.chips,
        power_w=power_w,
        chips_usd=None,
        server_usd=None,
        network_usd=None,
        facility_usd=None,
        hourly={"all-in": server.chips * _known(_chip_hour_usd(chip, basis))},
    )


def _known(value: T | None) -> T:
    """Only for numbers that `missing` has already asked for."""
    if value is None:
        raise ValueError("a number is missing that `missing` does not name")
    return value


def _chip_usd(chip: Chip, price_basis: PriceBasis) -> float | None:
    return chip.price_usd if price_basis == "sold" else chip.cost_usd


def _chip_hour_usd(chip: Chip, basis: Basis) -> float | None:
    return chip.hyperscaler_usd_h if basis == "hyperscaler" else chip.rent_usd_h


def dollars_per_mtok(hourly_usd: float, tokens_per_s: float, utilisation: float) -> float:
    """USD of a million tokens at `tokens_per_s` in the `utilisation` share of all paid hours."""
    if not (tokens_per_s > 0 and 0 < utilisation <= 1):
        raise ValueError(f"tokens_per_s = {tokens_per_s}, utilisation = {utilisation}: positive, at most 1")
    return hourly_usd * 1e6 / (tokens_per_s * utilisation * SECONDS_PER_HOUR)
