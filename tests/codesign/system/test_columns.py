"""Batches and replicas that serve the users asked for."""

import pytest

from codesign.system.columns import shared_batch
from tests.cases.query_strategies import query


@pytest.mark.parametrize("stages", [1, 2, 3])
@pytest.mark.parametrize("most", [1, 4, 7])
@pytest.mark.parametrize("users", [1, 7, 8, 20, 97])
def test_the_shared_batch_is_the_smallest_that_serves_all_with_the_fewest_replicas(
    stages: int, most: int, users: int
) -> None:
    found = shared_batch(query(model="llama-3.1-8b", context=1000, limits={"users": users}), stages, most)
    fewest = next(r for r in range(1, users + 1) if r * stages * most >= users)
    assert found == next(b for b in range(1, most + 1) if fewest * stages * b >= users)
