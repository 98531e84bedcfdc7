"""Other pictures of a picture, as delivery URLs ask for them."""
