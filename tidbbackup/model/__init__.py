"""The resources that users write, and what controller and worker exchange: parsing, rendering, tables.

Pure: must not know files, sockets, clocks, or any other package of ours.
"""
