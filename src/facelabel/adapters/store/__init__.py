"""Everything that lives in the one database: jobs, ledger, templates and the local library.

One code for SQLite and PostgreSQL. A :class:`~facelabel.adapters.store.sql.database.Database` is
opened once per process and shared by the adapters, which is what lets a change of the library
and the job that follows it up commit together.
"""
