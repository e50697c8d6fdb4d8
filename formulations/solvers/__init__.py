"""What the families share: outcomes, HiGHS, CP-SAT, ratios, deadlines and interrupts."""
