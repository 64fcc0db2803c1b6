"""Captions for any number of photos, on the cores of one machine or of a cluster. Needs Ray, which brings PyArrow."""
