"""Tests of the Python package: `python3 -m unittest discover -s guest/python/tests -t guest/python`."""
