"""S3-compatible storage: one client, one multipart upload, a few requests for single objects.

Must not know Kubernetes, databases, or what is inside an archive.
"""
