"""Every test speaks of the product from outside its module: values in, values out, or a real part beside it."""
