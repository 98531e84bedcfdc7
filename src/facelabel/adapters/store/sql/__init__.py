"""The database: connections, transactions, tables, and what is deleted from them for good."""
