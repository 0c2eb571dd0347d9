"""The lease: one writing run at a time, by a file lock or an advisory lock of PostgreSQL."""
