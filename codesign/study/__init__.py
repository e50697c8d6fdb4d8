"""A question asked again with some numbers changed, once or many times, in processes or on a cluster."""
