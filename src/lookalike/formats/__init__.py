"""An encoder written for elsewhere, and checked against the original as it is written."""
