"""adaptation: a model trained further on a query: a choice, never silent."""
