"""DOES what people and programs may do: the same for every door."""
