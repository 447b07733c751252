"""Turns vision transformers into Coppice bundles."""
