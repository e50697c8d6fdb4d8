"""Data of the catalogue as TOML, read by `codesign.catalog` alone."""
