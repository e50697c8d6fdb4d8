"""Every document that a command prints with --json, by the name that `codesign schema` knows it by."""

from collections.abc import Mapping
from types import MappingProxyType

from codesign.changes.frontier_answer import FrontierAnswer
from codesign.changes.frontier_plan_answer import FleetFrontierAnswer
from codesign.changes.relax_answer import RelaxAnswer
from codesign.changes.relax_plan_answer import FleetRelaxAnswer
from codesign.changes.robust_answer import RobustAnswer
from codesign.changes.robust_plan_answer import FleetRobustAnswer
from codesign.changes.sensitivity_answer import SensitivityAnswer
from codesign.changes.switch_answer import SwitchAnswer
from codesign.changes.switch_plan_answer import FleetSensitivityAnswer, FleetSwitchAnswer, FleetWhyNotAnswer
from codesign.changes.why_not_answer import WhyNotAnswer
from codesign.facts.document import Document
from codesign.fleet.answer import FleetAnswer
from codesign.kitsune.schedule_answer import KitsuneAnswer
from codesign.kitsune.sweep import SweepAnswer
from codesign.mix.answer import MixAnswer
from codesign.system.answer import Answer

CLASSES: Mapping[str, type[Document]] = MappingProxyType({
    "answer": Answer, "schedule": KitsuneAnswer, "sweep": SweepAnswer, "fleet": FleetAnswer, "mix": MixAnswer,
    "frontier": FrontierAnswer, "switch": SwitchAnswer, "sensitivity": SensitivityAnswer, "why-not": WhyNotAnswer,
    "relax": RelaxAnswer, "robust": RobustAnswer, "fleet-switch": FleetSwitchAnswer,
    "fleet-sensitivity": FleetSensitivityAnswer, "fleet-why-not": FleetWhyNotAnswer,
    "fleet-frontier": FleetFrontierAnswer, "fleet-relax": FleetRelaxAnswer, "fleet-robust": FleetRobustAnswer,
})  # fmt: skip
