"""`vidpipe browse`: a local web page to look at a collection and label it. A door, like the command line.

It answers on loopback only, knows no query of its own, and writes nothing but labels and cached pictures.
"""
