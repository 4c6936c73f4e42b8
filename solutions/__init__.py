"""Reference implementations: one module a method. Plain Python, a small pruning library in its own right."""
