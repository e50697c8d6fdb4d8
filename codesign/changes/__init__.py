"""What would change the answer: a query asked again with other numbers, frontiers, switch points, cures, scenarios."""
