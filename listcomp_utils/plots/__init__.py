"""Figures from arrays and frames, under one theme; nothing here knows a model."""
