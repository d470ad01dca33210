"""The I/O around decide: observe (cache -> facts), act (Plan -> API), and the reconcilers.

Kept small. Must not decide anything.
"""
