"""The parts that methods share: heads, gathering, normalisation."""
