"""The words users write and the parts exchange: parsing, rendering, units, tables.

Pure: must not know files, sockets, clocks, or any other package of ours.
"""
