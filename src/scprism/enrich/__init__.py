"""enrich: which gene sets the explanations form, against an honest null."""
