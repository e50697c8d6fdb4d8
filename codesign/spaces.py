"""The space of layouts that a query searches, in either mode: what both kinds have in common is used alike."""

from codesign.layouts import Space
from codesign.serving_space import ServingSpace

AnySpace = Space | ServingSpace
