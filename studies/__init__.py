"""Experiments on whole networks over several seeds, resumable: what stands in the tables of labs, docs and README."""
