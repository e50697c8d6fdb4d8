"""Answers and catalogue entries for people."""
