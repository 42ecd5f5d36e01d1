"""Models: train, evaluate, calibrate, predict. Statistical and deep families behind one interface per task."""
