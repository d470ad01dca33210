"""What runs in the Job's pod: dump a database with mydumper, pack, upload; or clean up after a Backup.

Must not know Kubernetes: all it needs comes by its environment, all it says is an exit code and one message.
"""
