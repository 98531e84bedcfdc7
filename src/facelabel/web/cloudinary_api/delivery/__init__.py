"""Delivery: pictures, other pictures made of them, and lists for pages."""
