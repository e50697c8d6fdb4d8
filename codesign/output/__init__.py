"""Answers as text, tables, charts and folders of files."""
