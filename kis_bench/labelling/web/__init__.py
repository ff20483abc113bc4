"""A small web server: who may come in, how pictures are shown, and the frame of every page."""
