"""What is known: units, errors, records of the catalogue with their sources, and what every document is made of."""
