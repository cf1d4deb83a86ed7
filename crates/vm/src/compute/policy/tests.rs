//! The formulas against a big-number script, and their properties.
