"""Names that code written for other implementations of this API imports."""
