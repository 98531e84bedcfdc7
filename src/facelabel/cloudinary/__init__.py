"""Cloudinary's wire format, both directions: signatures, notifications, parameters, URLs.

Pure functions, used by who talks to Cloudinary and by who speaks like it.
"""
