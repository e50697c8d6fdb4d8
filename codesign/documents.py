"""Every document that a command prints with --json, by the name that `codesign schema` knows it by."""

from collections.abc import Mapping
from types import MappingProxyType

from codesign.answer import Answer, Part
from codesign.changes.frontier_answer import FrontierAnswer
from codesign.changes.relax_answer import RelaxAnswer
from codesign.changes.sensitivity_answer import SensitivityAnswer
from codesign.changes.switch_answer import SwitchAnswer
from codesign.changes.why_not_answer import WhyNotAnswer
from codesign.fleet.answer import FleetAnswer
from codesign.fleet.change_answer import FleetSensitivityAnswer, FleetSwitchAnswer, FleetWhyNotAnswer
from codesign.fleet.frontier_answer import FleetFrontierAnswer
from codesign.fleet.relax_answer import FleetRelaxAnswer
from codesign.fleet.robust_answer import FleetRobustAnswer
from codesign.mix.answer import MixAnswer
from codesign.queries.kitsune import KitsuneAnswer
from codesign.queries.kitsune_sweep import SweepAnswer
from codesign.queries.robust_answer import RobustAnswer

CLASSES: Mapping[str, type[Part]] = MappingProxyType({
    "answer": Answer, "schedule": KitsuneAnswer, "sweep": SweepAnswer, "fleet": FleetAnswer, "mix": MixAnswer,
    "frontier": FrontierAnswer, "switch": SwitchAnswer, "sensitivity": SensitivityAnswer, "why-not": WhyNotAnswer,
    "relax": RelaxAnswer, "robust": RobustAnswer, "fleet-switch": FleetSwitchAnswer,
    "fleet-sensitivity": FleetSensitivityAnswer, "fleet-why-not": FleetWhyNotAnswer,
    "fleet-frontier": FleetFrontierAnswer, "fleet-relax": FleetRelaxAnswer, "fleet-robust": FleetRobustAnswer,
})  # fmt: skip
