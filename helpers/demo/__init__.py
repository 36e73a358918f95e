"""The demo: drawings, and a tiny CLIP that knows them. The tutorial works without them."""
