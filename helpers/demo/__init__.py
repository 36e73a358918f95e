"""The demo: drawings, and a tiny CLIP that knows them. Without this folder the tutorial works."""
