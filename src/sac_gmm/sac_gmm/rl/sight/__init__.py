"""Networks that turn pictures into numbers: an autoencoder, or a locator if the camera is calibrated."""
