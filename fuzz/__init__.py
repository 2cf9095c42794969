"""Coverage-guided fuzzing of the engine; see README.md."""
