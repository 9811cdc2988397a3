"""Telling apart what can go wrong in PostgreSQL."""

from __future__ import annotations

import psycopg
import psycopg_pool
from sqlalchemy.exc import DBAPIError

_RETRYABLE = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
)


def _driver_error(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def violated_constraint(error: BaseException) -> str | None:
    """Name of the constraint that a statement violated, or None when the error is another one."""
    cause = _driver_error(error)
    return cause.diag.constraint_name if isinstance(cause, psycopg.IntegrityError) else None


def is_retryable(error: BaseException) -> bool:
    """True when the same transaction may be run again: a serialisation failure (40001), a deadlock (40P01), or a
    lock that was waited for too long (55P03).
    """
    return isinstance(_driver_error(error), _RETRYABLE)


def is_connection_lost(error: BaseException) -> bool:
    """True when the server went away or refuses for now, so that whether a commit happened is unknown."""
    cause = _driver_error(error)
    if isinstance(cause, psycopg_pool.PoolTimeout | psycopg_pool.PoolClosed):
        return True
    if isinstance(
        cause, psycopg.errors.AdminShutdown | psycopg.errors.CrashShutdown | psycopg.errors.CannotConnectNow
    ):
        return True
    # An OperationalError without an SQLSTATE comes from the connection itself, not from a statement.
    return isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None
