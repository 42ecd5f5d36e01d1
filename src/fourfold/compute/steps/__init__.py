"""Cleaning steps that need a model; their lines stand in the table of fourfold.data.steps."""
