"""One system under a budget: the query, its space of layouts, the answer with proof, audit, cures and verification."""
