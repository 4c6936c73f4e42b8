"""What students use and are not asked to write: networks, training, files, plots, checks."""
