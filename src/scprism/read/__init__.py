"""read: files, bundled data and synthetic cells as checked AnnData."""
