"""The harness: grids of cells are trained, scored and tabulated, with files between the stages."""

__version__ = "0.1.0"
