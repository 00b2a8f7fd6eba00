"""What should go or stay: duplicates, leaks, outliers, what to label."""
