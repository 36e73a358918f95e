"""Models: images and texts to unit vectors. Nothing outside this folder imports torch or clip."""
