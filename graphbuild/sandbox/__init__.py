"""Run an argv on a stack of layers and give the upper directory back."""
