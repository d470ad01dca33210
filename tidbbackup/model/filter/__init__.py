"""`spec.tableFilter`: TiDB's table filter rules, as one regular expression."""
