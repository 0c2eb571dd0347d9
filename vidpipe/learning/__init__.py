"""The video classifier, an LSTM blended with linear heads: training, calibration, inference."""
