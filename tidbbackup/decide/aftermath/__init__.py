"""What is left to do after a run: the storage is inspected, the GC life time put back, data cleaned."""
