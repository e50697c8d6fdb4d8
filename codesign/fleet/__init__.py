"""A fleet for many workloads over several periods: its plan, what can serve it, what it costs, and its audit."""
