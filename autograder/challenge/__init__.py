"""The challenge's entries, measured and ranked."""
