"""Offline training, evaluation of choices and data sets; runs from the source tree only."""
