"""Figures of a report as data: what plotly.js draws, without colours of either theme."""
