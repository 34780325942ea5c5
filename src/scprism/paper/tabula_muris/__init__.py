"""Tabula Muris as published, read from its files."""
