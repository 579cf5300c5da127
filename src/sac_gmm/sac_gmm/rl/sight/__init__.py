"""What turns pictures into numbers: an autoencoder, or a locator where the camera is calibrated."""
