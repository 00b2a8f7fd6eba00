"""What each paper claims, and the small experiment that shows each claim."""
