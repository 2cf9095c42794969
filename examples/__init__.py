"""Programs on top of the package, to be read and changed."""
