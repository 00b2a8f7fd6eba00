"""Views of images: what is changed about a picture so that an encoder learns what stays."""
