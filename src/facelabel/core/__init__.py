"""The product's words and rules: values and pure functions, no input or output, no vendor."""
