"""The only layer that touches boto3: table, queues, objects, secrets."""
