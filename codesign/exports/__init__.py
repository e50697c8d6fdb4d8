"""One format a file; files are written whole or not at all."""
