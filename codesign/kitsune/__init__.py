"""Operator graphs, applications and GPUs for the question which operators stream together (arXiv 2502.18403)."""
