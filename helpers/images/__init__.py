"""Images: which files there are, what they show, what they tell, and how they are shown."""
