"""Figures, tables, explorers and slides."""
