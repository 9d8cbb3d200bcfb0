"""Figures from arrays and frames, under one theme; nothing here knows a model.

from listcomp_utils.plots import heatmaps
heatmaps.list_maps({"": right}, "Lists with equal digits fail", "share right").show()
"""
