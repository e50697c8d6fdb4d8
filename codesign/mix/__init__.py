"""A mix of rented replicas for a demand by buckets: the question, its readers, its answer and its audit."""
