"""Plots and the one-file HTML report: told from finished results, nothing is scored or read here."""
