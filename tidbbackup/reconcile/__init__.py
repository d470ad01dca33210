"""The effectful shell around decide: observe (cache -> facts), act (Plan -> API), and the reconcilers.

Small on purpose. Must not decide anything.
"""
