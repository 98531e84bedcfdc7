"""Accuracy on labelled sets, and calibration of a pack on a user's own faces.

A picture in which no face was found, or that cannot be read, is a failure in every rate: a known
person is not recognised, two pictures of one person are rejected, and a stranger, or a pair of two
people, counts as taken for somebody at every threshold. No rate gets better by not looking.
"""

from __future__ import annotations
