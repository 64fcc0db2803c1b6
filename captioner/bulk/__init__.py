"""Captions for any number of photos, on one machine or a cluster. Needs Ray, which installs PyArrow."""
