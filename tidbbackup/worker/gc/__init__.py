"""TiDB's GC life time, held while a run reads."""
