"""Targets to analysed actions: labels, dependencies, cycles, selection. Pure."""
