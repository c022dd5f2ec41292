"""The only files that import a backend, each lazily and only where that backend is the one in use."""
