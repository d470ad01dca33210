"""dumpling of PingCAP, for TiDB only: a program of ours on its library, see image/dumpling/main.go."""
