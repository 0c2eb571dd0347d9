"""Use cases, one file for each verb, written against ports; each returns a result dataclass."""
