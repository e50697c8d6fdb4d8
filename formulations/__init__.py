"""Mathematical programs: index sets and numbers in, proofs out. The only importer of solvers."""
