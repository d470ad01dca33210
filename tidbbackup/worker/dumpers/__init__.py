"""The programs that write the rows: a package for each."""
