"""The adapters for Pyodide in a browser's worker: the only package that imports `js` and `pyodide`."""
