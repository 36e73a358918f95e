"""Images: their files, pictures of them in notebooks, and the tutorial's photos."""
