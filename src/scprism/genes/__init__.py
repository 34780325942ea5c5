"""genes: what gene names mean: tables, ids, aliases, orthologs, organisms."""
