"""What the tests stand on: models, files, processes, a browser, a server."""
