//! Nothing: the package exists for what its lock file pins.
