"""Request and response models, one module per subject. The OpenAPI document uses their names."""
