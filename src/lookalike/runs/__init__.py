"""What a run is: settings from what was asked and what the images are, and jobs of several."""
