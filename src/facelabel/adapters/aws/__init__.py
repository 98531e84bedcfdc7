"""Ledger, queue and inbox without a server of one's own: DynamoDB and SQS.

Imported only where they are chosen: they need botocore, whose clients they are given.
"""
