"""Many solves at once: on processes of this machine or on a Dask cluster, kept in a journal as they come."""
