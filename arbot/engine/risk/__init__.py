"""Ordered small rules. A plan passes all of them and becomes Approved, or it is declined with reason, value and limit."""
