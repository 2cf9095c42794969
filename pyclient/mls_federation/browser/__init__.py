"""The adapters for Pyodide in a browser: the only package that imports `js` and `pyodide`."""

from .client import connect

__all__ = ["connect"]
