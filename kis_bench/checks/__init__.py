"""Checks of models, datasets and installations, before anything is measured."""
