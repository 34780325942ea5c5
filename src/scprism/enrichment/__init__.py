"""Which gene sets the genes of an explanation form: tests, nulls, small p-values, and the record of the result."""
