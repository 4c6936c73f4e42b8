"""What students use and are not asked to write: networks, training, files, plots, checks."""

VERSION = "0.2.0"  # of the course: in manifests, judged records, artifacts and pages
