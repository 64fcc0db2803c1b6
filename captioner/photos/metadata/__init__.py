"""The descriptions in a photo's file: read those that are there, and add a caption without changing a pixel.

Begin with `embed`. `descriptions` decides what a caption may stand beside; `jpeg_notes` and `png_notes` take a file
apart; `exif`, `xmp`, `iptc` and `mpf` know what lies in the parts.
"""
