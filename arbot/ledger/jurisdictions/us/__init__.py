"""The United States: fees, lots and terms, and the forms a person files."""
