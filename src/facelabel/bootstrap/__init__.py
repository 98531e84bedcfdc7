"""Builds the application from settings: the only package that picks adapters.

Each module imports what its part needs and no more: one that works for Amazon's services alone
runs where there is neither a database nor a face model.
"""
