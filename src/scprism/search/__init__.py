"""search: settings found by trials."""
