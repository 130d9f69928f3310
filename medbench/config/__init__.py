"""What may be said in a config, and what follows from it: sections, loading, plan, inputs, resources."""
