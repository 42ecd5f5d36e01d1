"""What the CRF family is made of: the template and its features, the decoder, words and characters, and the model."""
