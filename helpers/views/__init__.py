"""Views: the search panel, charts and maps."""
