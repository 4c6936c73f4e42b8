"""Drawn scenes for the autoencoder, and how alike two pictures are."""
