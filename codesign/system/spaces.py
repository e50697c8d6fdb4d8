"""The space of layouts that a query searches, in either mode: what both kinds have in common is used alike."""

from codesign.system.layouts import Space
from codesign.system.serving_space import ServingSpace

AnySpace = Space | ServingSpace
