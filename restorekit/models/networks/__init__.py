"""Networks that several systems are forms of, and the parts of one; no file here is a system."""
