"""What the tests use: models, files, processes, a browser, a server."""
